import asyncio
import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from aegis_tui.errors import UsageError
from aegis_tui.testing.scripted_llm import ScriptedServer
from aegis_tui.testing.scripted_meters import PrefixCache, split_tokens
from tests.testing.conftest import serving

WriteScripts = Callable[..., Path]
TOOLS = [{"type": "function", "function": {"name": "write", "parameters": {"type": "object"}}}]
LONG = "def work(value):\n    return value + 1\n" * 20
WRITE = {"tool": "write", "args": {"path": "src/가.py", "content": LONG}, "say": "I write."}


def chat(text: str, **more: Any) -> dict[str, Any]:
    return {"model": "scripted", "messages": [{"role": "user", "content": text}], "tools": TOOLS, **more}


async def streamed(client: httpx.AsyncClient, body: dict[str, Any]) -> list[Any]:
    events: list[Any] = []
    async with client.stream("POST", "/v1/chat/completions", json={**body, "stream": True}) as reply:
        assert reply.status_code == 200
        async for line in reply.aiter_lines():
            if line.startswith("data: "):
                data = line.removeprefix("data: ")
                events.append(data if data == "[DONE]" else json.loads(data))
    return events


async def meter(client: httpx.AsyncClient, name: str) -> float:
    text = (await client.get("/metrics")).text
    return next(float(line.split()[-1]) for line in text.splitlines() if line.startswith(f"vllm:{name}{{"))


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("the condition was not met within 5 s")


def test_a_reply_has_words_and_calls_and_is_labelled(write_scripts: WriteScripts) -> None:
    async def scenario() -> None:
        async with serving(write_scripts(a={"steps": [WRITE]})) as (server, client):
            reply = await client.post("/v1/chat/completions", json=chat("[[script:a]]"))
            body = reply.json()
            choice = body["choices"][0]
            assert choice["finish_reason"] == "tool_calls"
            assert choice["message"]["content"] == "I write."
            function = choice["message"]["tool_calls"][0]["function"]
            assert (function["name"], json.loads(function["arguments"])) == ("write", WRITE["args"])
            assert (body["system_fingerprint"], reply.headers["x-aegis-scripted"]) == ("scripted", "1")
            assert body["usage"]["completion_tokens"] > len(LONG) / 8
            assert server.requests == 1

    asyncio.run(scenario())


def test_a_stream_brings_the_same_in_fragments_and_ends_with_usage(write_scripts: WriteScripts) -> None:
    steps = [{"calls": [{"tool": "write", "args": {"content": LONG}}, {"tool": "write", "args": {"n": 2}}]}]

    async def scenario() -> None:
        async with serving(write_scripts(a={"steps": steps})) as (_, client):
            events = await streamed(client, chat("[[script:a]]", stream_options={"include_usage": True}))
            assert events[-1] == "[DONE]"
            assert events[-2]["choices"] == []
            assert events[-2]["usage"]["prompt_tokens_details"] == {"cached_tokens": 0}
            assert events[-3]["choices"][0]["finish_reason"] == "tool_calls"
            assert events[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
            arguments: dict[int, str] = {}
            for event in events[:-3]:
                for part in event["choices"][0]["delta"].get("tool_calls", ()):
                    arguments[part["index"]] = arguments.get(part["index"], "") + part["function"]["arguments"]
            assert [json.loads(text) for text in arguments.values()] == [{"content": LONG}, {"n": 2}]
            assert len(events) > 10

    asyncio.run(scenario())


def test_text_is_cut_at_max_tokens(write_scripts: WriteScripts) -> None:
    async def scenario() -> None:
        async with serving(write_scripts(a={"pace": 5000, "steps": [{"text": LONG * 4}]})) as (_, client):
            body = (await client.post("/v1/chat/completions", json=chat("[[script:a]]", max_tokens=200))).json()
            assert body["choices"][0]["finish_reason"] == "length"
            assert 0 < body["usage"]["completion_tokens"] <= 200

    asyncio.run(scenario())


def test_a_held_reply_goes_when_the_token_holder_opens_the_gate(write_scripts: WriteScripts) -> None:
    directory = write_scripts(a={"steps": [{"text": "through", "gate": "door"}]})

    async def scenario() -> None:
        async with serving(directory) as (server, client):
            asked = asyncio.create_task(client.post("/v1/chat/completions", json=chat("[[script:a]]")))
            await until(lambda: server.held("door") == 1)
            assert await meter(client, "num_requests_waiting") == 1
            assert (await client.post(f"{server.gates_url}door")).status_code == 401
            assert server.held("door") == 1
            token = {"authorization": f"Bearer {server.admin_token}"}
            assert (await client.post(f"{server.gates_url}window", headers=token)).status_code == 400
            assert (await client.get(f"{server.gates_url}door", headers=token)).status_code == 405
            assert (await client.post(f"{server.gates_url}door", headers=token)).status_code == 200
            assert (await asked).json()["choices"][0]["message"]["content"] == "through"
            again = await client.post("/v1/chat/completions", json=chat("[[script:a]]"))
            assert again.status_code == 200
            with pytest.raises(UsageError, match="no gate window"):
                server.open_gate("window")

    asyncio.run(scenario())


def test_a_gate_that_nobody_opens_fails_the_request_by_name(write_scripts: WriteScripts) -> None:
    directory = write_scripts(a={"steps": [{"text": "through", "gate": "door"}]})

    async def scenario() -> None:
        async with serving(directory, gate_timeout_s=0.05) as (_, client):
            reply = await client.post("/v1/chat/completions", json=chat("[[script:a]]", stream=True))
            assert reply.status_code == 424
            assert reply.json()["error"]["message"] == "gate door was not opened within 0.05 s"

    asyncio.run(scenario())


def test_a_client_that_leaves_is_no_longer_held_or_running(write_scripts: WriteScripts) -> None:
    directory = write_scripts(a={"steps": [{"text": "x", "gate": "door"}]}, b={"pace": 20, "steps": [{"text": LONG}]})

    async def scenario() -> None:
        async with serving(directory) as (server, client):
            asked = asyncio.create_task(client.post("/v1/chat/completions", json=chat("[[script:a]]")))
            await until(lambda: server.held("door") == 1)
            asked.cancel()
            await until(lambda: server.held("door") == 0)
            async with client.stream("POST", "/v1/chat/completions", json=chat("[[script:b]]", stream=True)) as reply:
                await anext(reply.aiter_bytes())
                assert server.meters.running == 1
            await until(lambda: server.meters.running == 0)
            assert server.meters.finished["abort"] == 1

    asyncio.run(scenario())


def test_the_pace_is_kept_and_the_server_may_overrule_it(
    write_scripts: WriteScripts, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "word " * 100
    pauses: list[float] = []
    sleep = asyncio.sleep

    async def noted(pause_s: float) -> None:
        pauses.append(pause_s)
        await sleep(pause_s)

    monkeypatch.setattr(
        "aegis_tui.testing.scripted_generation.asyncio", SimpleNamespace(**{**vars(asyncio), "sleep": noted})
    )
    directory = write_scripts(a={"pace": 400, "steps": [{"text": text}]})

    async def scenario() -> None:
        async with serving(directory) as (_, client):
            events = await streamed(client, chat("[[script:a]]"))
            assert len(events) >= 8
            assert sum(pauses) > 0 and max(pauses) <= len(split_tokens(text)) / 400
        pauses.clear()
        async with serving(directory, pace=0) as (_, client):
            await streamed(client, chat("[[script:a]]"))
            assert pauses and set(pauses) == {0.0}

    asyncio.run(scenario())


def test_replies_over_the_limit_wait_for_a_slot(write_scripts: WriteScripts) -> None:
    directory = write_scripts(a={"pace": 200, "steps": [{"text": "word " * 60}]})

    async def scenario() -> None:
        async with serving(directory, max_num_seqs=1) as (server, client):
            asked = [asyncio.create_task(streamed(client, chat("[[script:a]]"))) for _ in range(2)]
            await until(lambda: (server.meters.running, server.meters.waiting["capacity"]) == (1, 1))
            assert await meter(client, "kv_cache_usage_perc") > 0
            await asyncio.gather(*asked)
            assert (server.meters.running, server.meters.waiting["capacity"]) == (0, 0)
            assert server.meters.used_tokens == 0

    asyncio.run(scenario())


def test_errors_have_the_form_of_vllm(write_scripts: WriteScripts) -> None:
    async def scenario() -> None:
        async with serving(write_scripts(a={"steps": [{"text": "x"}]}), max_model_len=50) as (_, client):

            async def error(status: int, **request: Any) -> dict[str, Any]:
                reply = await client.post("/v1/chat/completions", **request)
                assert reply.status_code == status
                assert reply.headers["x-aegis-scripted"] == "1"
                found: dict[str, Any] = reply.json()["error"]
                assert found["code"] == status
                return found

            unknown = await error(404, json={**chat("hi"), "model": "gpt"})
            assert (unknown["type"], unknown["param"]) == ("NotFoundError", "model")
            assert "`gpt`" in unknown["message"] and "scripted" in unknown["message"]
            assert "not JSON" in (await error(400, content=b"{"))["message"]
            assert "object" in (await error(400, json=[]))["message"]
            assert (await error(400, json={"model": "scripted"}))["param"] == "messages"
            assert "role" in (await error(400, json={"messages": [{"content": "x"}]}))["message"]
            assert (await error(400, json=chat("x", tools=[{"name": "read"}])))["param"] == "tools.0.function"
            assert (await error(400, json=chat("word " * 60)))["param"] == "input_tokens"
            assert "no script b" in (await error(400, json=chat("[[script:b]]", tools=None)))["message"]
            assert (await client.get("/v1/nothing")).status_code == 404

    asyncio.run(scenario())


def test_the_other_endpoints_answer_as_a_model_server(write_scripts: WriteScripts) -> None:
    async def scenario() -> None:
        async with serving(write_scripts(a={"steps": [{"text": "x"}]}), model="demo") as (_, client):
            assert (await client.get("/health")).content == b""
            assert (await client.get("/version")).json() == {"version": "0.0.0+scripted"}
            card = (await client.get("/v1/models")).json()["data"][0]
            assert (card["id"], card["owned_by"], card["max_model_len"]) == ("demo", "aegis-scripted", 131_072)
            counted = (
                await client.post("/tokenize", json={"model": "demo", "prompt": "a b", "return_token_strs": True})
            ).json()
            assert (counted["count"], counted["token_strs"]) == (2, ["a", " b"])
            longer = (await client.post("/tokenize", json={"messages": [{"role": "user", "content": "a b"}]})).json()
            assert longer["count"] == len(longer["tokens"]) > 2
            assert (await client.post("/tokenize", json={"model": "x", "prompt": "a"})).status_code == 404

    asyncio.run(scenario())


def test_a_longer_conversation_hits_the_prefix_cache(write_scripts: WriteScripts) -> None:
    async def scenario() -> None:
        async with serving(write_scripts(a={"steps": [WRITE, {"text": "done"}]})) as (_, client):
            body = chat("[[script:a]] " + LONG)
            first = (await client.post("/v1/chat/completions", json=body)).json()
            assert first["usage"]["prompt_tokens_details"]["cached_tokens"] == 0
            message = first["choices"][0]["message"]
            body["messages"] += [
                message,
                {"role": "tool", "tool_call_id": message["tool_calls"][0]["id"], "content": "ok"},
            ]
            second = (await client.post("/v1/chat/completions", json=body)).json()
            assert second["choices"][0]["message"]["content"] == "done"
            cached = second["usage"]["prompt_tokens_details"]["cached_tokens"]
            assert cached > 0.9 * (first["usage"]["total_tokens"])
            assert await meter(client, "prefix_cache_hits_total") == cached
            queries = first["usage"]["prompt_tokens"] + second["usage"]["prompt_tokens"]
            assert await meter(client, "prefix_cache_queries_total") == queries
            generated = first["usage"]["completion_tokens"] + second["usage"]["completion_tokens"]
            assert await meter(client, "generation_tokens_total") == generated
            assert await meter(client, "time_to_first_token_seconds_count") == 2

    asyncio.run(scenario())


def test_the_prefix_cache_counts_whole_blocks_from_the_start_alone() -> None:
    cache = PrefixCache(capacity_blocks=4)
    tokens = [str(number) for number in range(48)]
    assert cache.add(tokens) == 0
    assert cache.add(tokens) == 32
    assert cache.add([*tokens, "more"]) == 48
    assert cache.add(["other", *tokens[1:]]) == 0
    assert cache.add([str(number) for number in range(100, 164)]) == 0
    assert cache.add(tokens) == 0


def test_stopping_cuts_what_is_held_and_frees_the_port(write_scripts: WriteScripts) -> None:
    directory = write_scripts(a={"steps": [{"text": "x", "gate": "door"}]})

    async def scenario() -> None:
        server = ScriptedServer(directory)
        url = await server.start()
        port = httpx.URL(url).port
        async with httpx.AsyncClient(timeout=10, trust_env=False) as client:
            asked = asyncio.create_task(client.post(f"{url}/chat/completions", json=chat("[[script:a]]")))
            await until(lambda: server.held("door") == 1)
            await server.stop()
            await server.stop()
            assert (await asked).status_code == 503
            with pytest.raises(httpx.ConnectError):
                await client.get(f"{url}/models")
        async with ScriptedServer(directory, port=port or 0) as again:
            assert again.base_url == url

    asyncio.run(scenario())


def test_the_command_announces_itself_in_a_private_file(write_scripts: WriteScripts, tmp_path: Path) -> None:
    directory = write_scripts(a={"steps": [{"text": "x", "gate": "door"}]})
    announce = tmp_path / "server.json"
    argv = [sys.executable, "-m", "aegis_tui.testing.scripted_llm", str(directory), "--announce", str(announce)]

    async def scenario() -> None:
        process = await asyncio.create_subprocess_exec(*argv, stdout=asyncio.subprocess.PIPE)
        try:
            async with asyncio.timeout(15):
                while not announce.exists():
                    assert process.returncode is None
                    await asyncio.sleep(0.02)
            card = json.loads(announce.read_text())
            assert stat.S_IMODE(announce.stat().st_mode) == 0o600
            assert card["pid"] == process.pid
            async with httpx.AsyncClient(timeout=10, trust_env=False) as client:
                token = {"authorization": f"Bearer {card['admin_token']}"}
                assert (await client.post(f"{card['gates_url']}door", headers=token)).status_code == 200
                reply = await client.post(f"{card['url']}/chat/completions", json=chat("[[script:a]]"))
                assert reply.json()["choices"][0]["message"]["content"] == "x"
        finally:
            os.kill(process.pid, signal.SIGTERM)
            output, _ = await process.communicate()
        assert (process.returncode, output) == (0, b"")
        assert not announce.exists()

    asyncio.run(scenario())


def test_the_command_refuses_a_folder_that_is_no_scenario(tmp_path: Path) -> None:
    async def scenario() -> None:
        argv = [sys.executable, "-m", "aegis_tui.testing.scripted_llm", str(tmp_path)]
        process = await asyncio.create_subprocess_exec(*argv, stderr=asyncio.subprocess.PIPE)
        _, errors = await process.communicate()
        assert process.returncode == 2
        assert b"no scripts in" in errors

    asyncio.run(scenario())


def test_a_server_alone_ends_with_the_process_that_started_it(write_scripts: WriteScripts, tmp_path: Path) -> None:
    scripts = write_scripts(a={"steps": [WRITE]})
    card = tmp_path / "card.json"
    module = "aegis_tui.testing.scripted_llm"
    starter = (
        "import os, subprocess, sys, pathlib, time\n"
        f"card = pathlib.Path({str(card)!r})\n"
        f"argv = [sys.executable, '-m', {module!r}, {str(scripts)!r}, '--announce', str(card)]\n"
        "child = subprocess.Popen([*argv, '--parent', str(os.getpid())], start_new_session=True)\n"
        "while not card.exists(): time.sleep(0.02)\n"
        "print(child.pid, flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run([sys.executable, "-c", starter], stdout=subprocess.PIPE, text=True, check=False)
    assert int(done.stdout) > 0 and done.returncode == -9
    assert not card.exists(), "the pipe is closed when the server has ended, and then its card is gone"
