import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.testing.conftest import Event, parse_events, serving

WriteScripts = Callable[..., Path]
PATH = "/v1/messages?beta=true"
LONG = "def work(value):\n    return value + 1\n" * 20
TOOLS = [
    {"name": "mcp__aegis__get_scope", "input_schema": {"type": "object", "properties": {}}},
    {
        "name": "Write",
        "description": "Writes a file.",
        "input_schema": {
            "type": "object",
            "properties": {"file_path": {"description": "The absolute path"}, "content": {"type": "string"}},
            "required": ["file_path", "content"],
        },
        "cache_control": {"type": "ephemeral"},
    },
    {"type": "web_search_20250305", "name": "web_search", "max_uses": 8},
]
STEPS = [
    {
        "calls": [{"tool": "mcp:get_scope"}, {"tool": "cli:write", "args": {"path": "가.py", "content": LONG}}],
        "say": "Go.",
    },
    {"text": "Done."},
]
BRIEF = [
    {"type": "text", "text": "<system-reminder>Today is Monday.</system-reminder>"},
    {"type": "text", "text": "Do it. [[script:a]] [[cwd:/work tree]]", "cache_control": {"type": "ephemeral"}},
]


def body(*messages: dict[str, Any], **more: Any) -> dict[str, Any]:
    system = [{"type": "text", "text": "You are an agent.", "cache_control": {"type": "ephemeral"}}]
    return {
        "model": "scripted",
        "max_tokens": 32_000,
        "system": system,
        "messages": [{"role": "user", "content": BRIEF}, {"role": "system", "content": "The folder is x."}, *messages],
        "tools": TOOLS,
        "metadata": {"user_id": "u"},
        "thinking": {"type": "adaptive"},
        "context_management": {"edits": []},
        **more,
    }


def rebuild(events: list[Event]) -> dict[str, Any]:
    """The message that the events of a stream build up, as a client puts it together."""
    message: dict[str, Any] = events[0][1]["message"]
    for name, event in events[1:]:
        assert event["type"] == name
        if name == "content_block_start":
            assert event["index"] == len(message["content"])
            message["content"].append({**event["content_block"], "parts": []})
        elif name == "content_block_delta":
            message["content"][event["index"]]["parts"].append(event["delta"])
        elif name == "message_delta":
            message |= {**event["delta"], "usage": event["usage"]}
    for block in message["content"]:
        parts = block.pop("parts")
        if block["type"] == "text":
            block["text"] += "".join(part["text"] for part in parts if part["type"] == "text_delta")
        else:
            block["input"] = json.loads("".join(part["partial_json"] for part in parts))
    return message


def test_a_stream_and_a_whole_reply_say_the_same(write_scripts: WriteScripts) -> None:
    async def scenario() -> None:
        async with serving(write_scripts(a={"steps": STEPS})) as (server, client):
            reply = await client.post(PATH, json=body())
            whole = reply.json()
            stream = await client.post(PATH, json=body(stream=True))
            assert stream.headers["content-type"].startswith("text/event-stream")
            events = parse_events(stream.text)
            names = [name for name, _ in events]
            assert names[:3] == ["message_start", "ping", "content_block_start"]
            assert names[-3:] == ["content_block_stop", "message_delta", "message_stop"]
            assert names.count("content_block_start") == names.count("content_block_stop") == 3
            assert names.count("content_block_delta") > 5
            streamed = rebuild(events)
            for message in (streamed, whole):
                text, scope, write = message["content"]
                assert text == {"type": "text", "text": "Go."}
                assert (scope["type"], scope["name"], scope["input"]) == ("tool_use", "mcp__aegis__get_scope", {})
                assert (write["type"], write["name"]) == ("tool_use", "Write")
                assert write["input"] == {"file_path": "/work tree/가.py", "content": LONG}
                assert scope["id"] != write["id"]
            assert (whole["type"], whole["role"], whole["stop_reason"]) == ("message", "assistant", "tool_use")
            assert (streamed["stop_reason"], streamed["stop_sequence"]) == ("tool_use", None)
            assert streamed["usage"]["output_tokens"] == whole["usage"]["output_tokens"] > 100
            assert reply.headers["x-aegis-scripted"] == "1"
            assert server.requests == 2

    asyncio.run(scenario())


def test_results_count_as_steps_whatever_else_is_between_them(write_scripts: WriteScripts) -> None:
    async def scenario() -> None:
        async with serving(write_scripts(a={"steps": STEPS})) as (_, client):
            first = (await client.post(PATH, json=body())).json()
            assert first["usage"]["cache_read_input_tokens"] == 0
            thought = {"type": "thinking", "thinking": "Hm.", "signature": "x"}
            results = [
                {"type": "tool_result", "tool_use_id": first["content"][1]["id"], "content": "src/**"},
                {
                    "type": "tool_result",
                    "tool_use_id": first["content"][2]["id"],
                    "content": [{"type": "text", "text": "written"}, {"type": "image", "source": {}}],
                    "is_error": False,
                    "cache_control": {"type": "ephemeral"},
                },
                {"type": "text", "text": "<system-reminder>Keep going.</system-reminder>"},
                {"type": "novelty", "value": 1},
            ]
            turn = {"role": "assistant", "content": [thought, *first["content"]]}
            second = (await client.post(PATH, json=body(turn, {"role": "user", "content": results}))).json()
            assert second["content"] == [{"type": "text", "text": "Done."}]
            assert second["stop_reason"] == "end_turn"
            usage = second["usage"]
            before = first["usage"]["input_tokens"] + first["usage"]["output_tokens"]
            assert usage["cache_read_input_tokens"] > 0.9 * before
            assert usage["cache_read_input_tokens"] + usage["input_tokens"] > before

    asyncio.run(scenario())


def test_a_request_that_may_call_nothing_gets_the_side_text(write_scripts: WriteScripts) -> None:
    async def scenario() -> None:
        async with serving(write_scripts(a={"steps": STEPS, "side": "A title"})) as (_, client):
            silent: list[dict[str, Any]] = [{"tools": []}, {"tool_choice": {"type": "none"}}, {"tools": TOOLS[2:]}]
            for more in silent:
                reply = (await client.post(PATH, json=body(**more))).json()
                assert reply["content"] == [{"type": "text", "text": "A title"}], more

    asyncio.run(scenario())


def test_a_reply_is_cut_at_max_tokens(write_scripts: WriteScripts) -> None:
    async def scenario() -> None:
        async with serving(write_scripts(a={"steps": STEPS}), pace=5000) as (_, client):
            whole = (await client.post(PATH, json=body(max_tokens=60))).json()
            assert whole["stop_reason"] == "max_tokens"
            assert whole["content"][-1]["input"] == {}
            assert 0 < whole["usage"]["output_tokens"] <= 60
            none = (await client.post(PATH, json=body(max_tokens=1))).json()
            assert none["content"] == [] and none["stop_reason"] == "max_tokens"
            events = parse_events((await client.post(PATH, json=body(max_tokens=1, stream=True))).text)
            assert [name for name, _ in events] == ["message_start", "ping", "message_delta", "message_stop"]

    asyncio.run(scenario())


def test_counting_counts_what_a_message_would_cost(write_scripts: WriteScripts) -> None:
    async def scenario() -> None:
        async with serving(write_scripts(a={"steps": STEPS})) as (server, client):
            asked = {name: value for name, value in body().items() if name != "max_tokens"}
            counted = (await client.post("/v1/messages/count_tokens?beta=true", json=asked)).json()
            assert server.requests == 0
            usage = (await client.post(PATH, json=body())).json()["usage"]
            assert 0 < usage["input_tokens"] - counted["input_tokens"] < 10, "the start of the turn is not counted"

    asyncio.run(scenario())


def test_errors_have_the_form_of_anthropic(write_scripts: WriteScripts) -> None:
    steps = {"a": {"steps": [{"tool": "mcp:report_done"}]}, "b": {"steps": [{"text": "x", "gate": "door"}]}}

    async def scenario() -> None:
        async with serving(write_scripts(**steps), max_model_len=2_000, gate_timeout_s=0.05) as (_, client):

            async def error(status: int, path: str = PATH, **request: Any) -> tuple[str, str]:
                reply = await client.post(path, **request)
                assert (reply.status_code, reply.json()["type"]) == (status, "error")
                assert reply.headers["x-aegis-scripted"] == "1"
                return reply.json()["error"]["type"], reply.json()["error"]["message"]

            kind, message = await error(404, json=body(model="opus"))
            assert kind == "not_found_error" and "`opus`" in message
            assert await error(404, "/v1/messages/count_tokens", json=body(model="opus")) == (kind, message)
            kind, message = await error(400, json=body())
            assert kind == "invalid_request_error"
            assert "mcp:report_done" in message and "Write, mcp__aegis__get_scope" in message
            assert "max_tokens" in (await error(400, json={"messages": [{"role": "user", "content": "x"}]}))[1]
            assert "messages" in (await error(400, json={"max_tokens": 5}))[1]
            assert "role" in (await error(400, json=body({"role": "tool", "content": "x"})))[1]
            assert "not JSON" in (await error(400, content=b"{"))[1]
            assert "no script c" in (await error(400, json=body({"role": "user", "content": "[[script:c]]"})))[1]
            assert "2000 tokens" in (await error(400, json=body({"role": "user", "content": LONG * 10})))[1]
            gate = body({"role": "user", "content": "[[script:b]]"}, stream=True)
            assert "gate door" in (await error(424, json=gate))[1]
            assert (await client.get("/v1/messages")).status_code == 404

    asyncio.run(scenario())
