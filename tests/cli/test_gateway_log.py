"""`gateway log` and `gateway replay`: calls of programs of every dialect, listed, shown and sent again (LLM-8)."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.cli.test_connect import CONNECT, THREE_DIALECTS, Desk, open_desk
from tests.gateway.conftest import CHAT_STREAM, MESSAGES_STREAM, ModelServer, open_model_server, streamed, until, whole

CHAT = "/v1/chat/completions"


@pytest.fixture(scope="module")
def second() -> Iterator[ModelServer]:
    with open_model_server() as server:
        server.answers[CHAT] = lambda _: streamed(CHAT_STREAM.replace(b"dich", b"alle"))
        yield server


@pytest.fixture(scope="module")
def desk() -> Iterator[Desk]:
    """Three calls were made, and the hub has ended."""
    with open_model_server() as model, open_desk(AEGIS_BASE_URL=model.url, AEGIS_API_KEY="sk-mine") as found:
        stream = CHAT_STREAM.replace(b'"delta":{"content"', b'"finish_reason":"stop","delta":{"content"')
        model.answers[CHAT] = lambda _: streamed(stream)
        assert found.aegis("hub", "start").code == 0
        done = found.aegis(*CONNECT, "three", "--", "python3", "-c", THREE_DIALECTS)
        assert done.code == 7, done.err
        until(lambda: len(found.aegis("gateway", "log", "--json").json["calls"]) == 3, "the calls are in the list")
        assert found.aegis("hub", "stop").code == 0
        yield found


def test_calls_are_listed_with_their_numbers_also_without_a_hub(desk: Desk) -> None:
    calls = desk.aegis("gateway", "log", "--json").json["calls"]
    assert [(call["id"], call["agent_id"], call["status"], call["error"]) for call in calls] == [
        (number, "CLAUDE-three", 200, None) for number in (1, 2, 3)
    ]
    assert [call["route"] for call in calls] == [CHAT, "/v1/messages", "/v1beta/models:streamGenerateContent"]
    assert [(call["prompt_tokens"], call["cached_tokens"], call["completion_tokens"]) for call in calls] == [
        (100, 64, 7),
        (100, 80, 9),
        (100, 64, 7),
    ]
    assert all(call["kept"] and 0 < call["ttft_s"] <= call["latency_s"] for call in calls)
    head, *rows = desk.aegis("gateway", "log", "--agent", "three", "-n", "2").out.splitlines()
    assert head.split()[:3] == ["id", "at", "agent"]
    assert [row.split()[0] for row in rows] == ["2", "3"]
    assert desk.aegis("gateway", "log", "--failed").out == "there are no model calls to list\n"
    assert desk.aegis("gateway", "log", "--agent", "one").out == "there are no model calls to list\n"


def test_one_call_is_shown_with_request_and_answer_as_they_were(desk: Desk) -> None:
    shown = desk.aegis("gateway", "log", "2", "--json").json
    assert json.loads(shown["request"])["max_tokens"] == 9
    assert shown["answer"] == MESSAGES_STREAM.decode()
    assert shown["said"]["text"] == "x"
    text = desk.aegis("gateway", "log", "3").out
    assert "\nmessage 1 (user):\n  hello\n" in text and "request: {" in text
    assert "grüß dich" in text and "(stop)" in text
    assert desk.aegis("gateway", "log", "4").code == 2


def test_a_request_is_sent_again_and_the_answers_are_compared(desk: Desk, second: ModelServer) -> None:
    for number in (1, 3):
        done = desk.aegis("gateway", "replay", str(number), "--base-url", second.url, "--json")
        assert done.code == 0, done.err
        assert (done.json["same"], done.json["differs_at"]) == (False, 5)
        assert (done.json["said"]["text"], done.json["replay"]["said"]["text"]) == ("grüß dich", "grüß alle")
        assert done.json["replay"]["cached_tokens"] == 64
        sent = second.calls(CHAT)[-1]
        assert sent.json["messages"] == [{"role": "user", "content": "hello"}]
        assert "cache_salt" not in sent.json and sent.headers["authorization"] == "Bearer sk-mine"
    assert "the texts differ from character 6 on" in desk.aegis("gateway", "replay", "1", "--base-url", second.url).out
    second.answers[CHAT] = lambda _: streamed(CHAT_STREAM)
    same = desk.aegis("gateway", "replay", "1", "--base-url", f"{second.url}/v1", "--model", "large")
    assert same.code == 0 and "the answers are equal:\ngrüß dich" in same.out
    assert second.calls(CHAT)[-1].json["model"] == "large"
    assert desk.aegis("gateway", "replay", "2", "--base-url", second.url, "--json").json["same"] is True


def test_what_cannot_be_sent_again_is_told(desk: Desk, second: ModelServer) -> None:
    second.answers[CHAT] = lambda _: whole(b'{"error": {"message": "no such model"}}', status=404)
    refused = desk.aegis("gateway", "replay", "1", "--base-url", second.url)
    assert refused.code == 1 and "no such model" in refused.out
    assert desk.aegis("gateway", "replay", "1", "--base-url", "http://127.0.0.1:9").code == 5
    assert desk.aegis("gateway", "replay", "1", "--base-url", "http://192.0.2.7").code == 3
    assert desk.aegis("gateway", "replay", "9").code == 2
    [texts] = desk.files("logs/model-calls/000001.calls")
    texts.write_bytes(texts.read_bytes().replace(b'"hello"', b" [key] "))
    broken = desk.aegis("gateway", "replay", "1", "--base-url", second.url)
    assert broken.code == 2 and "cannot be sent again" in broken.err and "gateway log 1" in broken.err
    texts.unlink()
    gone = desk.aegis("gateway", "replay", "1", "--base-url", second.url)
    assert gone.code == 2 and "were deleted, to make room for newer ones" in gone.err
    assert "were deleted" in desk.aegis("gateway", "log", "1").out


def test_what_an_agent_and_a_model_write_stays_on_its_line(desk: Desk) -> None:
    """SEC-2: a terminal gets no control characters, and a list no lines, from names in it."""
    [log] = desk.files("logs/model-calls.jsonl")
    line = json.loads(log.read_text().splitlines()[0])
    forged = {**line, "id": 7, "model": "m\x1b[2J\nperson", "kept": None}
    odd = ["torn", "[]", json.dumps({**line, "at": "x"}), json.dumps({**line, "status": None, "id": 8})]
    log.write_text(log.read_text() + "\n".join([json.dumps(forged), *odd]))
    shown = desk.aegis("gateway", "log", "-n", "1").out
    assert len(shown.splitlines()) == 2 and "\x1b" not in shown and "m�[2J person" in shown
    assert "were not stored" in desk.aegis("gateway", "log", "7").out
