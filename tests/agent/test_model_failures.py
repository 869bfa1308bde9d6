"""What a model server may do to a task: refuse, overflow, cut, call in text. The task goes on or says why it ends."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from aegis_tui.domain.cause import Cause
from aegis_tui.errors import ContextOverflow, HistoryRefused, ModelCut, ModelKeyRefused, ModelRefused
from aegis_tui.testing.canned_llm import Canned, calls, delta, says, sse

Play = Callable[..., None]
DONE = calls(("report", {"status": "blocked", "summary": "no"}))
READ = ("read", {"path": "src/a/app.py"})
LONG = "This model's maximum context length is 1000 tokens. However, your request has 2000 input tokens."
SINGLE = "This model only supports single tool-calls at once!"


def refuses(status: int, message: str) -> Canned:
    return Canned([json.dumps({"error": {"message": message}}).encode()], status)


def cut(**fields: Any) -> Canned:
    return Canned([delta(**fields), delta(finish="length"), sse("[DONE]")])


def big(bench: Any) -> Any:
    (bench.worktree / "src/a/big.txt").write_text("x" * 40_000)
    return calls(("bash", {"command": "head -c 20000 src/a/big.txt"}))


def test_a_conversation_that_is_too_long_is_shortened_and_goes_on(play: Play) -> None:
    async def scenario(bench: Any) -> None:
        bench.server.will(big(bench), big(bench), refuses(400, LONG), DONE)
        await bench.work("Do it well.")
        await bench.ends("blocked")
        refused, again = (json.dumps(bench.server.requests[at]["messages"]) for at in (-2, -1))
        assert len(again) < 0.6 * len(refused)
        assert "Do it well." in again and "left out" in again
        assert "with the oldest results left out" in bench.screen

    play(scenario)


def causes_of(bench: Any, monkeypatch: pytest.MonkeyPatch) -> list[Cause | None]:
    """What the tasks of a session end with, as they do."""
    causes: list[Cause | None] = []
    real = bench.session._run_turn

    async def keep(prompt: Any) -> Any:
        causes.append((outcome := await real(prompt)).cause)
        return outcome

    monkeypatch.setattr(bench.session, "_run_turn", keep)
    return causes


@pytest.mark.parametrize("is_first", [True, False])
def test_a_fresh_conversation_may_fit_unless_its_brief_alone_does_not(
    play: Play, monkeypatch: pytest.MonkeyPatch, is_first: bool
) -> None:
    seen: list[list[Cause | None]] = []

    async def scenario(bench: Any) -> None:
        seen.append(causes_of(bench, monkeypatch))
        bench.server.will(*([] if is_first else [big(bench)]), *[refuses(400, LONG)] * 9)
        await bench.work()
        await bench.ends("failed")

    play(scenario)
    [[cause]] = seen
    assert cause is not None and (cause.code, cause.is_certain) == ("model.context", is_first)


def test_a_brief_that_is_too_long_by_itself_ends_the_task_at_once_with_what_helps(play: Play) -> None:
    async def scenario(bench: Any) -> None:
        bench.server.will(refuses(400, LONG))
        await bench.work()
        note = (await bench.ends("failed")).fields["note"]
        assert "maximum context length is 1000 tokens" in note and "longer context" in note
        assert len(bench.server.requests) == 1

    play(scenario)


def test_a_server_that_calls_everything_too_long_is_not_asked_for_ever(play: Play) -> None:
    async def scenario(bench: Any) -> None:
        bench.server.will(big(bench), *[refuses(413, "too large")] * 9)
        await bench.work()
        await bench.ends("failed")
        assert len(bench.server.requests) <= 6

    play(scenario)


def test_a_history_that_the_template_refuses_is_sent_in_a_plainer_form_from_then_on(play: Play) -> None:
    async def scenario(bench: Any) -> None:
        bench.server.will(calls(READ, READ), refuses(400, SINGLE), calls(READ, READ), DONE)
        await bench.work()
        await bench.ends("blocked")
        for request in bench.server.requests[-2:]:
            assert all(len(message.get("tool_calls", ())) <= 1 for message in request["messages"])
        assert [message["role"] for message in bench.server.requests[-1]["messages"]][-4:] == ["assistant", "tool"] * 2

    play(scenario)


def test_a_template_without_a_system_role_gets_its_text_in_the_first_message(play: Play) -> None:
    async def scenario(bench: Any) -> None:
        bench.server.will(refuses(500, "TemplateError: System role not supported"), DONE)
        await bench.work("Do it well.")
        await bench.ends("blocked")
        [first] = bench.server.requests[-1]["messages"]
        assert first["role"] == "user" and "Do it well." in first["content"]

    play(scenario)


def test_a_template_that_refuses_the_plain_form_too_ends_the_task(play: Play) -> None:
    async def scenario(bench: Any) -> None:
        bench.server.will(calls(READ, READ), refuses(400, SINGLE), refuses(400, SINGLE))
        await bench.work()
        assert SINGLE in (await bench.ends("failed")).fields["note"]
        assert len(bench.server.requests) == 3

    play(scenario)


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({"reasoning_content": "hm"}, "while the model was thinking"),
        ({"content": "<think>hm"}, "while the model was thinking"),
        ({"content": "I am about to"}, "before it called a tool"),
    ],
)
def test_a_reply_that_was_cut_is_said_to_be_and_not_taken_for_idle_talk(
    play: Play, fields: dict[str, str], where: str
) -> None:
    async def scenario(bench: Any) -> None:
        bench.server.will(*[cut(**fields)] * 3)
        await bench.work()
        note = (await bench.ends("failed")).fields["note"]
        assert f"finish_reason length) {where}, 3 times in a row" in note
        assert any("cut off at the server's token limit" in text for text in bench.users())

    play(scenario)


def test_a_call_that_was_cut_is_said_to_be(play: Play) -> None:
    async def scenario(bench: Any) -> None:
        half = {
            "index": 0,
            "id": "a",
            "function": {"name": "write", "arguments": '{"path": "src/a/x", "content": "lon'},
        }
        bench.server.will(cut(tool_calls=[half]), DONE)
        await bench.work()
        await bench.ends("blocked")
        assert "cut off because it was too long" in bench.results()[0]

    play(scenario)


def test_a_call_that_the_server_left_in_the_text_is_run(play: Play) -> None:
    async def scenario(bench: Any) -> None:
        call = '{"name": "read", "arguments": {"path": "src/a/app.py"}}'
        text = f"<think>first</think>I look.\n<tool_call>\n{call}\n</tool_call>"
        bench.server.will(Canned([delta(content=text), delta(finish="stop")]), DONE)
        await bench.work()
        await bench.ends("blocked")
        assert "def greet" in bench.results()[0]
        asked = bench.server.requests[-1]["messages"][2]
        assert (asked["content"], asked["tool_calls"][0]["function"]["name"]) == ("I look.", "read")

    play(scenario)


def test_a_call_in_the_text_that_is_not_certain_is_answered_with_how_to_call(play: Play) -> None:
    async def scenario(bench: Any) -> None:
        bench.server.will(says('Say <tool_call>{"name": "read"}</tool_call> to read.'), DONE)
        await bench.work()
        await bench.ends("blocked")
        assert "reported blocked" in bench.results()[0]
        assert any("You wrote a tool call as plain text" in text and "report" in text for text in bench.users())

    play(scenario)


def test_marks_around_names_and_odd_arguments_are_read_and_the_history_is_clean(play: Play) -> None:
    async def scenario(bench: Any) -> None:
        bench.server.will(
            calls(("functions.read:0", json.dumps(json.dumps({"path": "src/a/app.py", "start": "1", "end": 1.0})))),
            calls(("<|tool|>report", '{"status": "Blocked", "summary": "no"}</tool_call>')),
        )
        await bench.work()
        await bench.ends("blocked")
        assert "def greet" in bench.results()[0] and "return" not in bench.results()[0]
        called = bench.server.requests[-1]["messages"][2]["tool_calls"][0]["function"]
        assert called["name"] == "read"
        assert json.loads(called["arguments"]) == {"path": "src/a/app.py", "start": 1, "end": 1}

    play(scenario)


@pytest.mark.parametrize(
    ("status", "kind", "hint"),
    [
        (400, ModelRefused, ""),
        (401, ModelKeyRefused, "AEGIS_API_KEY_FILE"),
        (403, ModelKeyRefused, "api_key_file"),
        (422, ModelRefused, ""),
    ],
)
def test_a_certain_refusal_ends_the_task_after_one_request_with_its_kind(
    play: Play, monkeypatch: pytest.MonkeyPatch, status: int, kind: type[ModelRefused], hint: str
) -> None:
    seen: list[list[Cause | None]] = []

    async def scenario(bench: Any) -> None:
        seen.append(causes_of(bench, monkeypatch))
        bench.server.will(refuses(status, "no such luck"))
        await bench.work()
        note = (await bench.ends("failed")).fields["note"]
        assert f"answered {status}: no such luck" in note and hint in note
        assert bench.server.base_url in note
        assert len(bench.server.requests) == 1

    play(scenario)
    [[cause]] = seen
    assert cause is not None and (cause.code, cause.outlook, cause.is_certain) == (kind.code, "certain", True)
    assert f"answered {status}: no such luck" in cause.message and hint in cause.hint


def test_a_model_that_is_not_there_is_told_with_those_that_are(play: Play) -> None:
    async def scenario(bench: Any) -> None:
        bench.server.will(refuses(404, "The model `x` does not exist."))
        await bench.work()
        assert "it serves: canned" in (await bench.ends("failed")).fields["note"]

    play(scenario)


def test_a_reply_that_cannot_be_read_is_shown_and_asked_for_again(play: Play) -> None:
    async def scenario(bench: Any) -> None:
        bench.server.will(Canned([sse({"choices": [{"delta": {"content": {"odd": "\x1b[2J"}}}]})]), DONE)
        await bench.work()
        await bench.ends("blocked")
        assert "a part of the content that holds no text" in bench.screen
        assert '"odd"' in bench.screen and "asking again (1 of 3)" in bench.screen
        assert "\x1b[2J" not in bench.screen

    play(scenario)


def test_the_kinds_of_refusal_are_certain_and_the_cut_is_not() -> None:
    assert ModelRefused.is_certain and HistoryRefused.is_certain
    assert not ContextOverflow.is_certain and not ModelCut.is_certain
