"""The scripted model server behind a real gateway process, in the dialects that the gateway passes on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from aegis_tui.testing.recorded_llm import RecordedLLM
from tests.gateway.conftest import Gateway

CONTENT = "def work():\n    return 1\n" * 30
STEPS = [
    {"tool": "mcp:get_scope"},
    {"tool": "cli:write", "args": {"path": "a.py", "content": CONTENT}},
    {"text": "Done."},
]
BRIEF = "[[script:work]] [[cwd:/tree]]"
SCHEMA = {"type": "object", "properties": {}}
PATH = {"type": "object", "properties": {"file_path": {"type": "string"}, "content": {"type": "string"}}}
COMMAND = {"type": "object", "properties": {"cmd": {"type": "string"}}, "required": ["cmd"]}


@pytest.fixture
def model(tmp_path: Path) -> Iterator[RecordedLLM]:
    (tmp_path / "scenario").mkdir()
    (tmp_path / "scenario" / "work.json").write_text(json.dumps({"steps": STEPS}))
    with closing(RecordedLLM(tmp_path / "scenario")) as model:
        yield model


@pytest.fixture
def relay(gateway_folders: Gateway, model: RecordedLLM) -> Gateway:
    """A running gateway in front of the scripted server."""
    gateway_folders.write_map(model.base_url)
    gateway_folders.start()
    return gateway_folders


def events(gateway: Gateway, path: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    answer = gateway.client().post(path, json={**body, "stream": True})
    assert answer.status_code == 200, answer.text
    return [json.loads(line[6:]) for line in answer.text.split("\n") if line.startswith("data: ")]


def test_a_task_is_done_over_messages(relay: Gateway, model: RecordedLLM) -> None:
    tools = [{"name": "mcp__aegis__get_scope", "input_schema": SCHEMA}, {"name": "Write", "input_schema": PATH}]
    messages: list[dict[str, Any]] = [{"role": "user", "content": BRIEF}]
    said: list[Any] = []
    for _ in STEPS:
        body = {"max_tokens": 9_000, "messages": messages, "tools": tools}
        answer = events(relay, "/v1/messages?beta=true", body)
        block = next(event["content_block"] for event in answer if event["type"] == "content_block_start")
        deltas = [event["delta"] for event in answer if event["type"] == "content_block_delta"]
        if block["type"] == "tool_use":
            block["input"] = json.loads("".join(delta["partial_json"] for delta in deltas))
            said.append((block["name"], block["input"]))
            result = {"type": "tool_result", "tool_use_id": block["id"], "content": "ok"}
            messages += [{"role": "assistant", "content": [block]}, {"role": "user", "content": [result]}]
        else:
            said.append("".join(delta["text"] for delta in deltas))

    assert said == [
        ("mcp__aegis__get_scope", {}),
        ("Write", {"file_path": "/tree/a.py", "content": CONTENT}),
        "Done.",
    ]
    lines = relay.wait_for_lines(3)
    assert {(line["route"], line["status"], line["error"], line["stream"]) for line in lines} == {
        ("/v1/messages", 200, None, True)
    }
    assert lines[2]["cached_tokens"] > 0.7 * lines[2]["prompt_tokens"] > 0
    assert lines[1]["completion_tokens"] > 100
    assert {item.dialect for item in model.received} == {"messages"}


def test_a_task_is_done_over_responses(relay: Gateway, model: RecordedLLM) -> None:
    scope = {"type": "function", "name": "get_scope", "parameters": SCHEMA}
    tools = [
        {"type": "function", "name": "exec_command", "parameters": COMMAND},
        {"type": "namespace", "name": "mcp__aegis", "tools": [scope]},
    ]
    items: list[dict[str, Any]] = [{"role": "user", "content": BRIEF}]
    said: list[Any] = []
    for _ in STEPS:
        last = events(relay, "/v1/responses", {"input": items, "tools": tools})[-1]
        assert last["type"] == "response.completed"
        (item,) = last["response"]["output"]
        items += [item]
        if item["type"] == "function_call":
            said.append((item.get("namespace"), item["name"]))
            items += [{"type": "function_call_output", "call_id": item["call_id"], "output": "ok"}]
        else:
            said.append(item["content"][0]["text"])

    assert said == [("mcp__aegis", "get_scope"), (None, "exec_command"), "Done."]
    lines = relay.wait_for_lines(3)
    assert {(line["route"], line["status"], line["error"]) for line in lines} == {("/v1/responses", 200, None)}
    assert lines[2]["cached_tokens"] > 0.7 * lines[2]["prompt_tokens"] > 0
    assert {item.dialect for item in model.received} == {"responses"}


def test_whole_replies_counts_and_errors_pass_too(relay: Gateway) -> None:
    client = relay.client()
    message = {"role": "user", "content": BRIEF}
    whole = client.post("/v1/messages", json={"max_tokens": 50, "messages": [message]}).json()
    assert whole["content"] == [{"type": "text", "text": "scripted"}]
    counted = client.post("/v1/messages/count_tokens", json={"messages": [message]}).json()
    assert counted["input_tokens"] > 0
    reply = client.post("/v1/responses", json={"input": BRIEF}).json()
    assert reply["output"][0]["content"][0]["text"] == "scripted"
    tools = [{"name": "Bash", "input_schema": SCHEMA}]
    refused = client.post("/v1/messages", json={"max_tokens": 50, "messages": [message], "tools": tools})
    assert refused.status_code == 400
    assert refused.json()["error"]["message"].endswith("it offers Bash")
    unknown = client.post("/v1/responses", json={"input": BRIEF, "model": "gpt"})
    assert (unknown.status_code, unknown.json()["error"]["param"]) == (404, "model")
