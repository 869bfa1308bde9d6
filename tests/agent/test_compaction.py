"""A conversation is made shorter before the model's context is full: views go first, then finished steps (LLM-4)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from aegis_tui.agent.compaction import RECENT_TURNS, STEPS, compact
from aegis_tui.agent.conversation import Conversation
from aegis_tui.agent.history import reshape, size_of
from aegis_tui.ports.llm import ChatReply, ToolCall
from aegis_tui.testing.canned_llm import calls

Play = Callable[..., None]


def talk(*steps: tuple[str, dict[str, Any], str]) -> list[dict[str, Any]]:
    """A conversation with one call and its result for each step; the ids of calls come again."""
    conversation = Conversation("system")
    conversation.add_user("Do the task.")
    for name, arguments, result in steps:
        conversation.add_reply(ChatReply("", (ToolCall("c0", name, json.dumps(arguments)),)))
        conversation.add_result("c0", result)
    return list(conversation.messages)


READ = ("read", {"path": "src/a.py"}, "x" * 5000)
TEST = ("bash", {"command": "pytest -q"}, "y" * 3000 + "\n1 failed\n[exit code 1]")
EDIT = ("edit", {"path": "src/a.py", "old": "1", "new": "2"}, "changed src/a.py (3 lines now)")


def test_views_of_files_go_first_and_the_oldest_of_them() -> None:
    messages = talk(READ, TEST, READ, EDIT, EDIT, EDIT)
    short = compact(messages, size_of(messages) - 4000)
    results = [message["content"] for message in short if message["role"] == "tool"]
    assert results[0] == "[read src/a.py: no longer shown; call it again if you need it]"
    assert [len(text) for text in results[1:3]] == [len(TEST[2]), len(READ[2])]
    assert len(short) == len(messages)


def test_finished_steps_become_a_line_each_and_what_was_said_stays() -> None:
    messages = talk(READ, TEST, EDIT, *[TEST] * RECENT_TURNS)
    messages.insert(4, {"role": "user", "content": "Meanwhile:\n- w02 changed src/b.py"})
    short = compact(messages, size_of(messages[-2 * RECENT_TURNS :]) + 800)
    assert [message["role"] for message in short] == ["system", "user", *["assistant", "tool"] * RECENT_TURNS]
    assert short[1]["content"].split(STEPS)[1].splitlines() == [
        "- read src/a.py",
        "- you were told: Meanwhile:",
        "  - w02 changed src/b.py",
        "- bash pytest -q -> 1 failed; [exit code 1]",
        "- edit src/a.py -> changed src/a.py (3 lines now)",
    ]
    assert short[2:] == messages[-2 * RECENT_TURNS :]
    assert reshape(short)[-1]["role"] == "tool"


def test_a_conversation_that_was_shortened_before_keeps_the_earlier_steps() -> None:
    messages = talk(EDIT, READ, *[TEST] * RECENT_TURNS)
    once = compact(messages, size_of(messages[-2 * RECENT_TURNS :]) + 600)
    more = [*once, *talk(*[("bash", {"command": "ls"}, "z" * 3000)] * RECENT_TURNS)[2:]]
    twice = compact(more, size_of(more[-2 * RECENT_TURNS :]) + 900)
    steps = twice[1]["content"].split(STEPS)[1]
    assert twice[1]["content"].count(STEPS) == 1
    assert steps.startswith("- edit src/a.py -> changed src/a.py (3 lines now)\n- read src/a.py\n- bash pytest -q")


def test_what_the_model_was_told_stays_however_many_steps_come_after_it() -> None:
    told = {"role": "user", "content": "Meanwhile:\n- w02 changed src/b.py\n\nUse tabs."}
    messages = talk(EDIT)
    for number in range(1, 4):
        messages = [*messages, {**told}, *talk(*[("bash", {"command": "ls"}, "z\n" * 500)] * 50)[2:]]
        messages = compact(messages, size_of(messages[-2 * RECENT_TURNS :]) + 5_000)
        steps = messages[1]["content"].split(STEPS)[1]
        assert steps.count("- you were told: Meanwhile:\n  - w02 changed src/b.py\n  \n  Use tabs.\n") == number
    # One edit and 150 calls, of which the newest three are whole.
    assert steps.startswith("- (68 earlier steps)\n- you were told")
    assert steps.count("\n- bash ls") == 80


def test_the_newest_steps_are_cut_only_when_nothing_else_is_left() -> None:
    messages = talk(*[TEST] * 3)
    short = compact(messages, 3000)
    assert size_of(short) <= 3100
    assert "Do the task." in short[1]["content"]


def test_the_agent_shortens_its_conversation_before_the_context_is_full(play: Play) -> None:
    """The server counts by `/tokenize`; the file that was dropped is shown whole when it is read again."""

    async def scenario(bench: Any) -> None:
        (bench.worktree / "src/a/one.py").write_text("# a long comment of some words\n" * 500)
        (bench.worktree / "src/a/two.py").write_text("# another remark of some words\n" * 600)
        bench.server.context_tokens, bench.server.counted_tokens = 9_500, 8_000
        read, wait = calls(("read", {"path": "src/a/one.py"})), calls(("bash", {"command": "true"}))
        bench.server.will(read, wait, wait, wait, calls(("read", {"path": "src/a/two.py"})), read)
        bench.server.will(calls(("report", {"status": "blocked", "summary": "x"})))
        await bench.work()
        await bench.ends("blocked")
        sent = [str(request["messages"]) for request in bench.server.requests]
        assert ["a long comment" in text for text in sent] == [False, True, True, True, True, False, True]
        assert "read src/a/one.py: no longer shown" in sent[5] and "another remark" in sent[5]
        assert bench.server.counted == 1
        assert "Shortened" in bench.screen

    play(scenario)


def test_a_server_that_does_not_say_its_context_is_not_asked_to_count(play: Play) -> None:
    async def scenario(bench: Any) -> None:
        (bench.worktree / "src/a/large.py").write_text("# a long comment of some words\n" * 500)
        bench.server.will(calls(("read", {"path": "src/a/large.py"})))
        bench.server.will(calls(("report", {"status": "blocked", "summary": "x"})))
        await bench.work()
        await bench.ends("blocked")
        assert bench.server.counted == 0

    play(scenario)
