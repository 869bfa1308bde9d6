import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.testing.conftest import parse_events, serving

WriteScripts = Callable[..., Path]
PATH = "/v1beta/models/gemini-2.5-pro:"
STREAM = PATH + "streamGenerateContent?alt=sse"
LONG = "def work(value):\n    return value + 1\n" * 20
WRITE = {
    "name": "write_file",
    "parametersJsonSchema": {
        "type": "object",
        "properties": {"file_path": {"type": "string"}, "content": {"type": "string"}},
        "required": ["file_path", "content"],
    },
}
SHELL = {
    "name": "run_shell_command",
    "parameters": {
        "type": "OBJECT",
        "properties": {"command": {"type": "STRING"}, "is_background": {"type": "BOOLEAN"}, "tag": {"type": "STRING"}},
        "required": ["command", "is_background", "tag"],
    },
}
TOOLS = [{"functionDeclarations": [WRITE, SHELL, {"name": "mcp_aegis_get_scope"}]}, {"googleSearch": {}}]
STEPS = [
    {
        "calls": [{"tool": "mcp:get_scope"}, {"tool": "cli:write", "args": {"path": "가.py", "content": LONG}}],
        "say": "Go.",
    },
    {"tool": "cli:shell", "args": {"command": "git add ."}},
    {"text": "Done."},
]


def body(*contents: dict[str, Any], **more: Any) -> dict[str, Any]:
    brief = {"role": "user", "parts": [{"text": "Today is Monday."}, {"text": "[[script:a]] [[cwd:/tree]]"}]}
    return {
        "contents": [brief, *contents],
        "systemInstruction": {"role": "user", "parts": [{"text": "You are an agent."}]},
        "tools": TOOLS,
        "toolConfig": {"functionCallingConfig": {"mode": "AUTO"}},
        "generationConfig": {"temperature": 1, "topP": 0.95, "thinkingConfig": {"includeThoughts": True}},
        **more,
    }


def parts_of(reply: dict[str, Any]) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = reply["candidates"][0]["content"]["parts"]
    return parts


def test_a_stream_and_a_whole_reply_say_the_same(write_scripts: WriteScripts) -> None:
    async def scenario() -> None:
        async with serving(write_scripts(a={"steps": STEPS})) as (server, client):
            whole = (await client.post(PATH + "generateContent", json=body())).json()
            text, scope, write = parts_of(whole)
            assert text == {"text": "Go."}
            assert (scope["functionCall"]["name"], scope["functionCall"]["args"]) == ("mcp_aegis_get_scope", {})
            assert write["functionCall"]["args"] == {"file_path": "/tree/가.py", "content": LONG}
            assert whole["candidates"][0]["finishReason"] == "STOP"
            usage = whole["usageMetadata"]
            assert usage["totalTokenCount"] == usage["promptTokenCount"] + usage["candidatesTokenCount"]

            reply = await client.post(STREAM, json=body())
            assert reply.headers["content-type"].startswith("text/event-stream")
            chunks = [chunk for _, chunk in parse_events(reply.text)]
            assert [
                call["functionCall"]["args"] for chunk in chunks for call in parts_of(chunk) if "text" not in call
            ] == [
                {},
                write["functionCall"]["args"],
            ]
            assert "".join(part.get("text", "") for chunk in chunks for part in parts_of(chunk)) == "Go."
            ends = [chunk["candidates"][0].get("finishReason") for chunk in chunks]
            assert ends == [None] * (len(chunks) - 1) + ["STOP"]
            assert chunks[-1]["usageMetadata"]["candidatesTokenCount"] == usage["candidatesTokenCount"]
            assert chunks[-1]["usageMetadata"]["cachedContentTokenCount"] > 0
            assert (reply.headers["x-aegis-scripted"], server.requests) == ("1", 2)

    asyncio.run(scenario())


def test_results_count_as_steps_with_or_without_ids(write_scripts: WriteScripts) -> None:
    def result(part: dict[str, Any], response: Any, *, with_id: bool) -> dict[str, Any]:
        call = part["functionCall"]
        named = {"name": call["name"], **({"id": call["id"]} if with_id else {})}
        return {"functionResponse": {**named, "response": response}}

    async def scenario() -> None:
        async with serving(write_scripts(a={"steps": STEPS})) as (_, client):
            first = (await client.post(PATH + "generateContent", json=body())).json()
            turn = {"role": "model", "parts": [{"text": "Hm.", "thought": True}, *parts_of(first)]}
            told = [
                result(parts_of(first)[1], {"output": "src/**"}, with_id=True),
                result(parts_of(first)[2], {"result": [1]}, with_id=False),
                {"text": "Keep going."},
            ]
            second = (
                await client.post(PATH + "generateContent", json=body(turn, {"role": "user", "parts": told}))
            ).json()
            (shell,) = parts_of(second)
            arguments = {"command": "git add .", "is_background": False, "tag": "scripted"}
            assert shell["functionCall"]["args"] == arguments
            cached = second["usageMetadata"]["cachedContentTokenCount"]
            assert cached > 0.9 * first["usageMetadata"]["totalTokenCount"]
            history = [turn, {"role": "user", "parts": told}, second["candidates"][0]["content"]]
            third = body(*history, {"role": "user", "parts": [result(shell, {"error": "no"}, with_id=True)]})
            assert parts_of((await client.post(PATH + "generateContent", json=third)).json()) == [{"text": "Done."}]

    asyncio.run(scenario())


def test_a_request_that_may_call_nothing_gets_the_side_text(write_scripts: WriteScripts) -> None:
    none = {"toolConfig": {"functionCallingConfig": {"mode": "NONE"}}}
    silent: list[dict[str, Any]] = [{"tools": []}, {"tools": TOOLS[1:]}, none]

    async def scenario() -> None:
        async with serving(write_scripts(a={"steps": STEPS, "side": "user"})) as (_, client):
            for more in silent:
                reply = (await client.post(PATH + "generateContent", json=body(**more))).json()
                assert parts_of(reply) == [{"text": "user"}]

    asyncio.run(scenario())


def test_a_call_that_is_cut_off_is_left_out(write_scripts: WriteScripts) -> None:
    short = {"generationConfig": {"maxOutputTokens": 60}}

    async def scenario() -> None:
        async with serving(write_scripts(a={"steps": STEPS}), pace=5000) as (_, client):
            whole = (await client.post(PATH + "generateContent", json=body(**short))).json()
            assert whole["candidates"][0]["finishReason"] == "MAX_TOKENS"
            assert [part.get("text") for part in parts_of(whole)] == ["Go.", None]
            chunks = [chunk for _, chunk in parse_events((await client.post(STREAM, json=body(**short))).text)]
            assert chunks[-1]["candidates"][0]["finishReason"] == "MAX_TOKENS"
            assert ["functionCall" in part for chunk in chunks for part in parts_of(chunk)].count(True) == 1

    asyncio.run(scenario())


def test_counting_takes_both_forms_of_a_request(write_scripts: WriteScripts) -> None:
    async def scenario() -> None:
        async with serving(write_scripts(a={"steps": STEPS})) as (server, client):
            whole = (await client.post(PATH + "countTokens", json={"generateContentRequest": body()})).json()
            bare = (await client.post(PATH + "countTokens", json={"contents": body()["contents"]})).json()
            assert whole["totalTokens"] > bare["totalTokens"] > 10
            assert server.requests == 0

    asyncio.run(scenario())


def test_errors_have_the_form_of_google(write_scripts: WriteScripts) -> None:
    steps = {"a": {"steps": [{"tool": "mcp:report_done"}]}, "b": {"steps": [{"text": "x", "gate": "door"}]}}

    async def scenario() -> None:
        async with serving(write_scripts(**steps), gate_timeout_s=0.05) as (_, client):

            async def error(status: int, path: str, **request: Any) -> tuple[str, str]:
                reply = await client.post(path, **request)
                found = reply.json()["error"]
                assert (reply.status_code, found["code"]) == (status, status)
                return found["status"], found["message"]

            kind, message = await error(400, STREAM, json=body())
            assert kind == "INVALID_ARGUMENT"
            assert "mcp_aegis_get_scope, run_shell_command, write_file" in message
            assert "alt=sse" in (await error(400, PATH + "streamGenerateContent", json=body()))[1]
            assert "contents" in (await error(400, STREAM, json={}))[1]
            assert "not JSON" in (await error(400, STREAM, content=b"{"))[1]
            gate = body({"role": "user", "parts": [{"text": "[[script:b]]"}]})
            assert (await error(424, STREAM, json=gate))[0] == "FAILED_PRECONDITION"
            assert (await client.post(PATH + "embedContent", json=body())).status_code == 404

    asyncio.run(scenario())
