"""Translates requests of Google's Gemini API into chat completions, because vLLM has no route for them (LLM-10).

Source: https://ai.google.dev/api/generate-content, v1beta. What chat completions do not have is left out (`topK`,
`safetySettings`, `thinkingConfig`, `cachedContent`), except for services that run at Google: a request for nothing but
those is refused, because a model that answered it would make the result up.
"""

from __future__ import annotations

from typing import Any

from aegis_tui.gateway.google_fields import Fields, field_of, object_of, objects_of, text_of
from aegis_tui.gateway.google_messages import messages_of
from aegis_tui.gateway.rejected import Rejected

_SAMPLING = {
    "temperature": "temperature",
    "topP": "top_p",
    "maxOutputTokens": "max_tokens",
    "stopSequences": "stop",
    "seed": "seed",
    "presencePenalty": "presence_penalty",
    "frequencyPenalty": "frequency_penalty",
}
"""Field of `generationConfig` -> field of a chat completion."""

_FUNCTIONS = ("functionDeclarations", "function_declarations")
_NO_PARAMETERS: Fields = {"type": "object", "properties": {}}
_COUNTS = frozenset({"minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"})
"""Keywords whose values Google's schema writes as texts, because they are 64-bit numbers."""
_SCHEMAS = frozenset({"items", "additionalProperties"})
_CAMEL = {"any_of": "anyOf", "additional_properties": "additionalProperties"} | {
    "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name): name for name in _COUNTS
}
"""Keyword in snake case -> as JSON Schema spells it."""
_NOT_IN_JSON_SCHEMA = frozenset({"nullable", "propertyOrdering", "property_ordering", "example"})


def chat_body(fields: Fields, *, model: str, stream: bool) -> Fields:
    """Return the body of the chat completion that answers a request of Google's API: model, messages, tools, settings.

    Settings that chat completions do not have are left out, such as `topK`. Tools that only Google's own service has,
    such as its search, are left out if functions are declared too.

    Args:
        fields: The body of `generateContent` or `streamGenerateContent`.
        model: The model to ask.
        stream: Whether to ask for a stream, with token counts at its end.

    Raises:
        Rejected: A field has a wrong form, there is no conversation, or all tools are ones that only Google's own
            service has (400).
        RecursionError: A field is nested too deeply.
    """
    body: Fields = {"model": model, "messages": messages_of(fields), **_tools(fields), **_config(fields)}
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return body


def _tools(fields: Fields) -> Fields:
    tools = objects_of(fields, "tools")
    declared = [_function(item) for tool in tools for item in objects_of(tool, "functionDeclarations")]
    hosted = sorted({name for tool in tools for name in tool if name not in _FUNCTIONS and tool[name] is not None})
    if hosted and not declared:
        services = ", ".join(hosted)
        raise Rejected(400, "tool.hosted", f"{services}: only Google's own service has this, not the model server here")
    if not declared:
        return {}
    calling = object_of(object_of(fields, "toolConfig"), "functionCallingConfig")
    mode, allowed = text_of(calling, "mode").upper(), field_of(calling, "allowedFunctionNames") or ()
    if allowed and mode in ("ANY", "VALIDATED"):
        declared = [tool for tool in declared if tool["function"]["name"] in allowed] or declared
    choice = {"NONE": "none", "ANY": "required"}.get(mode)
    return {"tools": declared, **({"tool_choice": choice} if choice else {})}


def _function(declaration: Fields) -> Fields:
    schema = field_of(declaration, "parametersJsonSchema")
    if schema is None:
        schema = json_schema(object_of(declaration, "parameters"))
    function: Fields = {"name": text_of(declaration, "name")}
    if description := text_of(declaration, "description"):
        function["description"] = description
    return {"type": "function", "function": {**function, "parameters": schema or _NO_PARAMETERS}}


def _config(fields: Fields) -> Fields:
    config = object_of(fields, "generationConfig")
    settings = {theirs: value for ours, theirs in _SAMPLING.items() if (value := field_of(config, ours)) is not None}
    count = field_of(config, "candidateCount")
    if isinstance(count, int) and count > 1:
        settings["n"] = count
    if text_of(config, "responseMimeType") == "application/json":
        settings["response_format"] = _response_format(config)
    return settings


def _response_format(config: Fields) -> Fields:
    schema = field_of(config, "responseJsonSchema")
    if schema is None:
        schema = json_schema(object_of(config, "responseSchema"))
    if not schema:
        return {"type": "json_object"}
    return {"type": "json_schema", "json_schema": {"name": "response", "schema": schema}}


def json_schema(schema: Fields) -> Fields:
    """Return a schema of Google's form (OpenAPI 3.0, types in capitals) as JSON Schema; empty for an empty one.

    A nullable type becomes a list of it and `null`, and names and nested schemas are converted too. `propertyOrdering`
    and `example` are left out; unknown keywords are kept as they are.

    Raises:
        RecursionError: It is nested too deeply.
    """
    result: Fields = {}
    for name, value in schema.items():
        if name in _NOT_IN_JSON_SCHEMA:
            continue
        result[_CAMEL.get(name, name)] = _keyword(_CAMEL.get(name, name), value)
    if schema.get("nullable") is True and isinstance(result.get("type"), str):
        result["type"] = [result["type"], "null"]
    return result


def _keyword(name: str, value: Any) -> Any:
    """Return the value of one keyword in the form of JSON Schema, with the schemas in it converted too.

    Args:
        name: The keyword as JSON Schema spells it.
        value: Its value in Google's form; one of an unexpected type is returned as it is.

    Raises:
        RecursionError: The value is nested too deeply.
    """
    if name == "type" and isinstance(value, str):
        return value.lower()
    if name == "properties" and isinstance(value, dict):
        return {key: json_schema(item) if isinstance(item, dict) else item for key, item in value.items()}
    if name in _SCHEMAS and isinstance(value, dict):
        return json_schema(value)
    if name == "anyOf" and isinstance(value, list):
        return [json_schema(item) if isinstance(item, dict) else item for item in value]
    if name in _COUNTS and isinstance(value, str) and value.isdecimal():
        return int(value)
    return value
