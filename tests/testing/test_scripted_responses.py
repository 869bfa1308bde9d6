import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.testing.conftest import parse_events, serving

WriteScripts = Callable[..., Path]
PATH = "/v1/responses"
LONG = "def work(value):\n    return value + 1\n" * 20
EXEC = {
    "type": "function",
    "name": "exec_command",
    "strict": False,
    "parameters": {
        "type": "object",
        "properties": {"cmd": {"type": "string"}, "yield_time_ms": {"type": "number"}},
        "required": ["cmd"],
    },
}
SCOPE = {"type": "function", "name": "get_scope", "parameters": {"type": "object", "properties": {}}}
TOOLS = [EXEC, {"type": "namespace", "name": "mcp__aegis", "tools": [SCOPE]}, {"type": "web_search"}]
STEPS = [
    {
        "calls": [{"tool": "mcp:get_scope"}, {"tool": "cli:write", "args": {"path": "a.py", "content": LONG}}],
        "say": "Go.",
    },
    {"text": "Done."},
]
BRIEF = {
    "type": "message",
    "role": "user",
    "content": [{"type": "input_text", "text": "Do it."}, {"type": "input_text", "text": "[[script:a]] [[cwd:/tree]]"}],
}


def body(*items: dict[str, Any], **more: Any) -> dict[str, Any]:
    developer = {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "Be careful."}]}
    return {
        "model": "scripted",
        "instructions": "You are an agent.",
        "input": [developer, BRIEF, *items],
        "tools": TOOLS,
        "tool_choice": "auto",
        "store": False,
        "include": ["reasoning.encrypted_content"],
        "prompt_cache_key": "k",
        **more,
    }


def test_a_whole_reply_has_an_item_for_the_text_and_one_for_each_call(write_scripts: WriteScripts) -> None:
    async def scenario() -> None:
        async with serving(write_scripts(a={"steps": STEPS})) as (server, client):
            reply = await client.post(PATH, json=body())
            response = reply.json()
            assert (response["object"], response["status"], response["error"]) == ("response", "completed", None)
            text, scope, write = response["output"]
            assert (text["type"], text["role"], text["content"][0]["text"]) == ("message", "assistant", "Go.")
            assert (scope["type"], scope["namespace"], scope["name"]) == ("function_call", "mcp__aegis", "get_scope")
            assert (write["name"], "namespace" in write) == ("exec_command", False)
            command = json.loads(write["arguments"])["cmd"]
            assert command == f"mkdir -p -- /tree && cat > /tree/a.py <<'END'\n{LONG}END\n"
            assert len({item["id"] for item in response["output"]}) == 3
            assert scope["call_id"] != write["call_id"]
            usage = response["usage"]
            assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
            assert (reply.headers["x-aegis-scripted"], server.requests) == ("1", 1)

    asyncio.run(scenario())


def test_a_stream_builds_the_same_item_by_item(write_scripts: WriteScripts) -> None:
    async def scenario() -> None:
        async with serving(write_scripts(a={"steps": STEPS})) as (_, client):
            whole = (await client.post(PATH, json=body())).json()
            events = parse_events((await client.post(PATH, json=body(stream=True))).text)
            assert [event["sequence_number"] for _, event in events] == list(range(len(events)))
            assert all(name == event["type"] for name, event in events)
            assert [name for name, _ in events[:3]] == [
                "response.created",
                "response.in_progress",
                "response.output_item.added",
            ]
            assert events[0][1]["response"]["status"] == "in_progress"
            grown = {0: "", 1: "", 2: ""}
            done: dict[int, Any] = {}
            for name, event in events:
                if name in ("response.output_text.delta", "response.function_call_arguments.delta"):
                    assert event["output_index"] == len(done)
                    grown[event["output_index"]] += event["delta"]
                elif name == "response.output_text.done":
                    assert event["text"] == grown[0]
                elif name == "response.function_call_arguments.done":
                    assert event["arguments"] == grown[event["output_index"]]
                elif name == "response.output_item.done":
                    done[event["output_index"]] = event["item"]
            name, last = events[-1]
            assert name == "response.completed"
            assert last["response"]["output"] == list(done.values())
            assert [item["type"] for item in done.values()] == ["message", "function_call", "function_call"]
            assert grown[2] == whole["output"][2]["arguments"] == done[2]["arguments"]
            assert all(item["status"] == "completed" for item in done.values())
            usage = last["response"]["usage"]
            assert usage["output_tokens"] == whole["usage"]["output_tokens"]
            assert usage["input_tokens_details"]["cached_tokens"] > 0, "the same prompt a second time"

    asyncio.run(scenario())


def test_text_and_calls_of_one_turn_are_one_step(write_scripts: WriteScripts) -> None:
    async def scenario() -> None:
        async with serving(write_scripts(a={"steps": STEPS})) as (_, client):
            first = (await client.post(PATH, json=body())).json()
            text, scope, write = first["output"]
            history = [
                {"type": "reasoning", "summary": [], "encrypted_content": "x"},
                text,
                scope,
                {"type": "function_call_output", "call_id": scope["call_id"], "output": "src/**"},
                {"type": "novelty", "value": 1},
                write,
                {
                    "type": "function_call_output",
                    "call_id": write["call_id"],
                    "output": [{"type": "input_text", "text": "ok"}, {"type": "input_image", "image_url": "x"}],
                },
            ]
            second = (await client.post(PATH, json=body(*history))).json()
            assert [item["content"][0]["text"] for item in second["output"]] == ["Done."]

    asyncio.run(scenario())


def test_custom_tools_and_flat_names_count_as_steps_too(write_scripts: WriteScripts) -> None:
    history = [
        {"type": "custom_tool_call", "call_id": "1", "name": "apply_patch", "input": "*** Begin Patch"},
        {"type": "custom_tool_call_output", "call_id": "1", "output": "ok"},
        {"type": "function_call", "call_id": "2", "name": "mcp__aegis__get_scope", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "2", "output": "ok"},
    ]

    async def scenario() -> None:
        async with serving(write_scripts(a={"steps": STEPS})) as (_, client):
            reply = (await client.post(PATH, json=body(*history))).json()
            assert reply["output"][0]["content"][0]["text"] == "Done."

    asyncio.run(scenario())


def test_the_input_may_be_one_text_and_a_request_without_functions_gets_the_side_text(
    write_scripts: WriteScripts,
) -> None:
    async def scenario() -> None:
        async with serving(write_scripts(a={"steps": STEPS, "side": "A title"})) as (_, client):
            for more in ({"tools": None}, {"tools": TOOLS[2:]}, {"tools": TOOLS, "tool_choice": "none"}):
                asked = {"input": "Title of: [[script:a]]", **more}
                reply = (await client.post(PATH, json=asked)).json()
                assert [item["content"][0]["text"] for item in reply["output"]] == ["A title"]

    asyncio.run(scenario())


def test_a_reply_that_is_cut_is_incomplete(write_scripts: WriteScripts) -> None:
    async def scenario() -> None:
        async with serving(write_scripts(a={"steps": STEPS}), pace=5000) as (_, client):
            whole = (await client.post(PATH, json=body(max_output_tokens=60))).json()
            assert (whole["status"], whole["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})
            assert [item["status"] for item in whole["output"]] == ["completed", "completed", "incomplete"]
            events = parse_events((await client.post(PATH, json=body(max_output_tokens=1, stream=True))).text)
            assert [name for name, _ in events] == ["response.created", "response.in_progress", "response.incomplete"]
            assert events[-1][1]["response"]["output"] == []

    asyncio.run(scenario())


def test_errors_have_the_form_of_vllm(write_scripts: WriteScripts) -> None:
    async def scenario() -> None:
        async with serving(write_scripts(a={"steps": [{"tool": "mcp:report_done"}]})) as (_, client):

            async def error(status: int, **request: Any) -> dict[str, Any]:
                reply = await client.post(PATH, **request)
                assert reply.status_code == status
                found: dict[str, Any] = reply.json()["error"]
                assert found["code"] == status
                return found

            unknown = await error(404, json=body(model="gpt"))
            assert (unknown["type"], unknown["param"]) == ("NotFoundError", "model")
            refused = await error(400, json=body(stream=True))
            assert "mcp:report_done" in refused["message"]
            assert "exec_command, mcp__aegis__get_scope" in refused["message"]
            assert (await error(400, json={"model": "scripted"}))["param"].startswith("input")
            assert (await error(400, json=body(previous_response_id="resp_1")))["param"] == "previous_response_id"
            assert "not JSON" in (await error(400, content=b"{"))["message"]

    asyncio.run(scenario())
