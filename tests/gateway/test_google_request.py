"""Requests of Google's API as chat completions (LLM-10, AGENT-2)."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from aegis_tui.gateway.google_messages import NO_RESULT
from aegis_tui.gateway.google_request import chat_body, json_schema
from aegis_tui.gateway.rejected import Rejected


def asked(*contents: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return chat_body({"contents": list(contents), **fields}, model="tiny", stream=False)


def messages(*contents: dict[str, Any], **fields: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = asked(*contents, **fields)["messages"]
    return found


def user(*parts: Any) -> dict[str, Any]:
    return {"role": "user", "parts": [{"text": part} if isinstance(part, str) else part for part in parts]}


def model(*parts: Any) -> dict[str, Any]:
    return {**user(*parts), "role": "model"}


def call(name: str, **args: Any) -> dict[str, Any]:
    return {"functionCall": {"name": name, "args": args}}


def result(name: str, response: Any, **more: Any) -> dict[str, Any]:
    return {"functionResponse": {"name": name, "response": response, **more}}


def test_texts_and_the_instruction_become_plain_messages() -> None:
    found = messages(user("one", "two"), model("Hel", "lo"), systemInstruction={"parts": [{"text": "Be brief."}]})
    assert found == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "one\ntwo"},
        {"role": "assistant", "content": "Hello"},
    ]


def test_snake_case_and_a_single_content_are_understood() -> None:
    fields = {
        "system_instruction": {"parts": {"text": "s"}},
        "contents": {"parts": {"text": "u"}},
        "generation_config": {"max_output_tokens": 5, "stop_sequences": ["x"]},
        "tools": {"function_declarations": {"name": "f", "parameters_json_schema": {"type": "object"}}},
    }
    body = chat_body(fields, model="tiny", stream=True)
    assert [item["content"] for item in body["messages"]] == ["s", "u"]
    assert (body["max_tokens"], body["stop"], body["stream"]) == (5, ["x"], True)
    assert body["stream_options"] == {"include_usage": True}
    assert body["tools"][0]["function"] == {"name": "f", "parameters": {"type": "object"}}


def test_calls_get_ids_by_order_and_results_find_them_by_name_and_order() -> None:
    _, assistant, *tools, last = messages(
        user("go"),
        model("I read.", call("read", path="a"), call("read", path="b"), call("run", command="ls")),
        user(result("run", {"output": "x"}), result("read", {"output": "A"}), result("read", {"lines": 3}), "and now"),
    )
    assert assistant["content"] == "I read."
    assert [item["id"] for item in assistant["tool_calls"]] == ["call00001", "call00002", "call00003"]
    assert json.loads(assistant["tool_calls"][0]["function"]["arguments"]) == {"path": "a"}
    told = {item["tool_call_id"]: item["content"] for item in tools}
    assert told == {"call00003": "x", "call00001": "A", "call00002": '{"lines": 3}'}
    assert last == {"role": "user", "content": "and now"}


def test_an_id_that_came_back_wins_over_the_order() -> None:
    first, second = call("read", path="a"), call("read", path="b")
    first["functionCall"]["id"], second["functionCall"]["id"] = "x1", "x2"
    *_, one, two = messages(
        user("go"),
        model(first, second),
        user(result("read", {"output": "B"}, id="x2"), result("read", {"output": "A"})),
    )
    assert (one["tool_call_id"], one["content"]) == ("call00002", "B")
    assert (two["tool_call_id"], two["content"]) == ("call00001", "A")


def test_the_same_conversation_has_the_same_ids_when_it_has_grown() -> None:
    start = [user("go"), model(call("a")), user(result("a", {"output": "1"}))]
    grown = messages(*start, model(call("a")), user(result("a", {"output": "2"})))
    assert grown[: len(messages(*start))] == messages(*start)


def test_a_call_without_a_result_gets_one_and_a_result_without_a_call_is_told() -> None:
    found = messages(user("go"), model(call("a"), call("b")), user(result("a", {"error": "no"}), "stop that"))
    assert [(item["role"], item["content"]) for item in found[2:]] == [
        ("tool", '{"error": "no"}'),
        ("tool", NO_RESULT),
        ("user", "stop that"),
    ]
    assert messages(user(result("gone", {"output": "x"})))[0]["content"] == "[result of gone]\nx"
    assert messages(user("go"), model(call("a")))[-1] == {
        **{"role": "tool", "tool_call_id": "call00001"},
        "content": NO_RESULT,
    }


def test_a_turn_that_came_in_several_contents_is_one_message() -> None:
    found = messages(user("a"), user("b"), model("x"), model(call("f")), user(result("f", {"output": "1"})), user("c"))
    assert [item["role"] for item in found] == ["user", "assistant", "tool", "user"]
    assert found[0]["content"] == "a\nb"
    assert (found[1]["content"], len(found[1]["tool_calls"])) == ("x", 1)


def test_thoughts_and_signatures_are_left_out() -> None:
    thought = {"text": "hmm", "thought": True}
    signed = {**call("f"), "thoughtSignature": "c2ln"}
    found = messages(user("a"), model(thought, {"thoughtSignature": "c2ln"}, signed), user(result("f", {})))
    assert found[1]["content"] is None and "hmm" not in json.dumps(found) and "c2ln" not in json.dumps(found)


def test_images_become_data_urls_and_what_cannot_be_shown_says_so() -> None:
    image = {"inlineData": {"mimeType": "image/png", "data": "iVBO_w-="}}
    text = {"inlineData": {"mimeType": "text/plain", "data": base64.urlsafe_b64encode("grüß".encode()).decode()}}
    paper = {"inlineData": {"mimeType": "application/pdf", "data": "JVBE"}}
    file = {"fileData": {"fileUri": "https://files.example/1"}}
    (found,) = messages(user("look", image, text, paper, file))
    assert found["content"][1] == {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBO/w+="}}
    told = [part["text"] for part in found["content"] if part["type"] == "text"]
    assert told[:2] == ["look", "grüß"]
    assert "application/pdf" in told[2] and "https://files.example/1" in told[3]
    *_, tool, shown = messages(user("go"), model(call("shot")), user(result("shot", {"output": "done"}, parts=[image])))
    assert (tool["role"], tool["content"], shown["content"][0]["type"]) == ("tool", "done", "image_url")


def test_declarations_become_tools_and_googles_schema_becomes_json_schema() -> None:
    declared = [
        {"name": "read", "description": "Reads.", "parametersJsonSchema": {"type": "object", "required": ["path"]}},
        {"name": "list", "parameters": {"type": "OBJECT", "properties": {"type": {"type": "STRING"}}}},
        {"name": "now"},
    ]
    body = asked(user("go"), tools=[{"functionDeclarations": declared}, {"googleSearch": {}}])
    functions = [tool["function"] for tool in body["tools"]]
    assert functions[0]["description"] == "Reads." and functions[0]["parameters"]["required"] == ["path"]
    assert functions[1]["parameters"] == {"type": "object", "properties": {"type": {"type": "string"}}}
    assert functions[2]["parameters"] == {"type": "object", "properties": {}}
    assert "tool_choice" not in body
    schema = {
        "type": "ARRAY",
        "nullable": True,
        "min_items": "2",
        "items": {"anyOf": [{"type": "INTEGER"}, {"type": "STRING", "maxLength": "9"}]},
        "propertyOrdering": ["a"],
    }
    assert json_schema(schema) == {
        "type": ["array", "null"],
        "minItems": 2,
        "items": {"anyOf": [{"type": "integer"}, {"type": "string", "maxLength": 9}]},
    }


@pytest.mark.parametrize(
    ("calling", "choice", "names"),
    [
        ({"mode": "AUTO"}, None, ["a", "b"]),
        ({"mode": "NONE"}, "none", ["a", "b"]),
        ({"mode": "ANY"}, "required", ["a", "b"]),
        ({"mode": "ANY", "allowedFunctionNames": ["b"]}, "required", ["b"]),
        ({"mode": "VALIDATED", "allowedFunctionNames": ["a"]}, None, ["a"]),
    ],
)
def test_how_functions_may_be_called(calling: dict[str, Any], choice: str | None, names: list[str]) -> None:
    tools = [{"functionDeclarations": [{"name": "a"}, {"name": "b"}]}]
    body = asked(user("go"), tools=tools, toolConfig={"functionCallingConfig": calling})
    assert body.get("tool_choice") == choice
    assert [tool["function"]["name"] for tool in body["tools"]] == names


def test_the_configuration_that_chat_has_is_passed_and_the_rest_left_out() -> None:
    config = {
        **{"temperature": 0, "topP": 0.9, "topK": 64, "seed": 7, "maxOutputTokens": 100, "candidateCount": 1},
        **{"thinkingConfig": {"thinkingBudget": 9}, "presencePenalty": 0.1, "responseMimeType": "application/json"},
    }
    body = asked(user("go"), generationConfig=config, safetySettings=[{}])
    del body["messages"]
    assert body == {
        **{"model": "tiny", "temperature": 0, "top_p": 0.9, "seed": 7, "max_tokens": 100, "presence_penalty": 0.1},
        "response_format": {"type": "json_object"},
    }
    config["responseJsonSchema"] = {"type": "object"}
    schema = asked(user("go"), generationConfig=config)["response_format"]
    assert schema == {"type": "json_schema", "json_schema": {"name": "response", "schema": {"type": "object"}}}
    del config["responseJsonSchema"]
    config["responseSchema"] = {"type": "OBJECT"}
    assert asked(user("go"), generationConfig=config)["response_format"] == schema


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "contents is empty"),
        ({"contents": []}, "contents is empty"),
        ({"contents": "hello"}, "contents is not a list of objects"),
        ({"contents": [{"parts": [{"text": 5}]}]}, "text is not a text"),
        ({"contents": [{"parts": [{"functionCall": [1]}], "role": "model"}]}, "functionCall is not an object"),
        ({"contents": [{"parts": [{"inlineData": {"mimeType": "text/plain", "data": "%"}}]}]}, "not base64"),
        ({"contents": [{"parts": [{"text": "x"}]}], "tools": [{"googleSearch": {}}]}, "googleSearch"),
        ({"contents": [{"parts": [{"text": "x"}]}], "generationConfig": 1}, "generationConfig is not an object"),
    ],
)
def test_a_wrong_field_is_named(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(Rejected, match=words) as caught:
        chat_body(fields, model="tiny", stream=False)
    assert caught.value.status == 400
