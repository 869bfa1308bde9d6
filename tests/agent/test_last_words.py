"""An agent that meets an error of its own says so, to the hub and on its screen, and never just ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from aegis_tui.agent.last_words import error_words
from aegis_tui.agent.session import AgentSession
from aegis_tui.agent.toolbox import Toolbox
from aegis_tui.errors import ModelError
from aegis_tui.testing.canned_llm import calls, says

Play = Callable[..., None]
DONE = calls(("report", {"status": "blocked", "summary": "no"}))


def raised(error: Exception) -> Exception:
    try:
        raise error
    except Exception as caught:
        return caught


def test_an_expected_error_is_its_message_and_another_names_kind_and_place() -> None:
    assert error_words(raised(ModelError("the server said \x1b[2Jno"))) == "the server said [2Jno"
    words = error_words(raised(TypeError("x" * 5000)))
    assert words.startswith("the agent failed with an internal error: TypeError: xxx")
    assert "(test_last_words.py:" in words
    assert len(words) < 1100


def test_an_error_in_a_tool_ends_the_task_with_words_and_the_agent_goes_on(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(self: Toolbox, call: object) -> Any:
        raise TypeError("unexpected")

    async def scenario(bench: Any) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(Toolbox, "call", broken)
            bench.server.will(calls(("read", {"path": "x"})))
            await bench.work()
            failed = await bench.ends("failed")
        assert "TypeError: unexpected" in failed.fields["note"]
        bench.server.will(DONE)
        await bench.work("Try again.")
        await bench.ends("blocked")

    play(scenario)


def test_an_error_outside_a_task_is_the_reason_why_the_agent_leaves(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: AgentSession, prompt: object) -> None:
        raise LookupError("nowhere")

    left: list[str] = []

    async def scenario(bench: Any) -> None:
        monkeypatch.setattr(AgentSession, "_admit", broken)
        bench.server.will(says("never asked"))
        await bench.work()
        left.append((await bench.hub.wait_for("agent:leave")).fields["reason"])

    with pytest.raises(LookupError):
        play(scenario)
    assert "LookupError: nowhere" in left[0]
