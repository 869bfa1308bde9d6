"""Repair tool names and arguments that a model wrote in another form, where the meaning is certain (FLOW-11).

Servers and models wrap names and arguments in many ways: `functions.read`, arguments encoded twice, numbers as text.
They are read with the help of the tool's schema. What is ambiguous stays unchanged, and the check that follows says to
the model what to change.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from functools import cache
from typing import Any

from aegis_tui.domain.tool.model import TOOLS

_DEPTH = 3
_MARKS = re.compile(r"<\|[^|<>]{0,40}\|>")
_TAIL = re.compile(r"(\s|</?[A-Za-z_]{1,30}>|<\|[^|<>]{0,40}\|>)*")
_FENCE = re.compile(r"```[A-Za-z]{0,10}[^\S\n]*\n(.*)```", re.DOTALL)
_LINES = re.compile(r"\s*(\d{1,9})\s*(?:-|,|\.\.|:)\s*(\d{1,9})\s*")
_NUMBER = re.compile(r"-?(0|[1-9]\d{0,14})(\.\d{1,12})?")
_WRAPPERS = frozenset({"arguments", "parameters", "input", "args", "kwargs"})
_NAMING = frozenset({"name", "tool", "tool_name", "function", "type", "id"})


_GLOBS = {"type": "array", "items": {"type": "string"}}
_PART = {"type": "object", "properties": {"partition": _GLOBS, "depends_on": _GLOBS}}
_DESIGN: dict[str, Any] = {
    "type": "object",
    "properties": {
        "features": {"type": "array", "items": _PART},
        "foundation": _PART,
        "shared": _GLOBS,
        "joint": _GLOBS,
        "qa": {"type": "object", "properties": {"commands": {"type": "array", "items": {"type": "string"}}}},
    },
}
"""The known fields of a design, which the tool's own schema leaves open; the hub checks the rest."""


def read_name(name: str, *, allowed: Collection[str]) -> str:
    """Return the tool that a name means; the name unchanged when it means no tool for certain.

    Args:
        name: As the model or the server wrote it: `functions.read`, `<|tool|>read`, `mcp__aegis__Read:0`.
        allowed: The names of the available tools.
    """
    if name in allowed:
        return name
    text = _MARKS.split(name.strip())
    bare = next((part for part in text if part.strip()), "").strip().strip("`'\"")
    if not bare or len(bare) > 100 or re.search(r"\s", bare):
        return name
    parts = [part for part in re.split(r"[^A-Za-z0-9_-]+|__", bare) if part]
    while len(parts) > 1 and parts[-1].isdigit():
        parts.pop()
    meant = {known for known in allowed if parts and parts[-1].casefold() == known.casefold()}
    return meant.pop() if len(meant) == 1 else name


def read_arguments(name: str, text: str) -> str:
    """Return the arguments of a call as one JSON object, fitted to the tool's schema where the meaning is certain.

    Args:
        name: One of `TOOLS`.
        text: The arguments as the model wrote them.

    Returns:
        `text` unchanged when it is not an object in one of the known wrappings, or the tool is unknown.
    """
    fields = _object_in(text, _DEPTH)
    if fields is None or name not in TOOLS:
        return text
    schema = _schema(name)
    fields = _unwrapped(fields, name, schema)
    return json.dumps(_fitted(fields, schema), ensure_ascii=False)


@cache
def _schema(name: str) -> dict[str, Any]:
    parameters: dict[str, Any] = TOOLS[name].schema()["function"]["parameters"]
    if name == "propose_design":
        parameters["properties"]["design"] = _DESIGN
    return parameters


def _object_in(text: str, depth: int) -> dict[str, Any] | None:
    """Return the object in a text: plain, encoded again, alone in a list, in a code fence, or before marks.

    None if none.

    An empty text and `null` give an empty object. A mark is a tag such as `</tool>` or `<|end|>`.

    Args:
        text: The text.
        depth: How many times it may be encoded again.
    """
    text = text.strip()
    if not text or text == "null":
        return {}
    if fenced := _FENCE.fullmatch(text):
        text = fenced[1].strip()
    value = parse_json(text)
    if value is None:
        value = _with_tail(text)
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, str) and depth:
        return _object_in(value, depth - 1)
    return value if isinstance(value, dict) else None


def parse_json(text: str) -> Any:
    """Return the value of a JSON text; None when it is not JSON, and for `null`.

    A raw line break inside a string is accepted, NaN and Infinity are not. Never raises.
    """
    try:
        return json.loads(text, strict=False, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None


def _with_tail(text: str) -> Any:
    """Return the JSON value that a text begins with, if only marks such as `</x>` follow; else None."""
    try:
        value, end = json.JSONDecoder(strict=False, parse_constant=_refuse).raw_decode(text)
    except (ValueError, RecursionError):
        return None
    return value if _TAIL.fullmatch(text, end) else None


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


def _unwrapped(fields: dict[str, Any], name: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the inner object of `{"name": "read", "arguments": {...}}` or of a similar wrapping.

    Else `fields` unchanged.

    Args:
        fields: The object.
        name: The tool that was called; a wrapping that names another one is not taken off.
        schema: The schema of its arguments; a name in it is never a wrapping.
    """
    known = schema.get("properties", {})
    wrappers = [key for key in fields if key in _WRAPPERS and key not in known]
    rest = [key for key in fields if key not in wrappers]
    if len(wrappers) != 1 or any(key in known or key not in _NAMING for key in rest):
        return fields
    if any(
        isinstance(fields[key], str)
        and key in ("name", "tool", "tool_name")
        and read_name(fields[key], allowed=TOOLS) != name
        for key in rest
    ):
        return fields
    inner = fields[wrappers[0]]
    if isinstance(inner, str):
        inner = _object_in(inner, 1)
    return inner if isinstance(inner, dict) else fields


def _fitted(value: Any, schema: Mapping[str, Any]) -> Any:
    """Return a value in the form of its JSON Schema where the meaning is certain, else unchanged; inner values too.

    A text with a number, a boolean, a list or an object becomes that; a single item becomes a list; an optional field
    that is null is left out; letter case is corrected to that of the only choice that fits.
    """
    match schema.get("type"):
        case "object":
            return _fitted_object(value, schema)
        case "array":
            return _fitted_list(value, schema)
        case "integer":
            return _fitted_number(value, whole=True)
        case "number":
            return _fitted_number(value, whole=False)
        case "boolean":
            words = {"true": True, "false": False}
            return words.get(value.strip().casefold(), value) if isinstance(value, str) else value
        case "string":
            return _fitted_text(value, schema.get("enum"))
    return value


def _fitted_object(value: Any, schema: Mapping[str, Any]) -> Any:
    if isinstance(value, str) and isinstance(parsed := parse_json(value), dict):
        value = parsed
    if not isinstance(value, dict):
        return value
    properties, required = schema.get("properties", {}), schema.get("required", ())
    fitted = {}
    for key, item in value.items():
        if item is None and key in properties and key not in required:
            continue
        fitted[key] = _fitted(item, properties[key]) if key in properties else item
    return fitted


def _fitted_list(value: Any, schema: Mapping[str, Any]) -> Any:
    items = schema.get("items", {})
    if isinstance(value, str):
        parsed = parse_json(value)
        if isinstance(parsed, list):
            value = parsed
        elif isinstance(parsed, dict) and items.get("type") == "object":
            value = [parsed]
        elif items.get("type") == "string" and re.fullmatch(r"[^\s,\[\]\"']+", value):
            value = [value]
        elif items.get("type") == "integer" and (lines := _LINES.fullmatch(value)):
            value = [int(lines[1]), int(lines[2])]
    elif isinstance(value, dict) and items.get("type") == "object":
        value = [value]
    if not isinstance(value, list):
        return value
    return [_fitted(item, items) for item in value]


def _fitted_number(value: Any, *, whole: bool) -> Any:
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        value = float(value) if "." in value else int(value)
    if whole and isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _fitted_text(value: Any, choices: Collection[str] | None) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if choices and isinstance(value, str):
        meant = [choice for choice in choices if choice.casefold() == value.strip().casefold()]
        return meant[0] if len(meant) == 1 else value
    return value
