"""A program that has ended in its own interface continues its conversation, or gets its prompts again (AGENT-2)."""

from __future__ import annotations

import os
import signal
import sys

import pytest

from tests.agent.hosted.stage import Perform, Stage


def test_a_program_that_has_ended_is_started_again_with_its_conversation(perform: Perform) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.work("FILE src/a/new.py: x = 1\nQUIT 0")
        await stage.ends("done")
        await stage.work("FILE src/a/new.py: x = 2")
        await stage.ends("done", 2)
        first, second = stage.noted("starts")
        assert first[0] == "--new" and second == ["--resume", first[1]]

    perform(scenario)


def test_a_program_that_was_killed_is_started_again_with_its_conversation(perform: Perform) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.finish_first()
        os.kill(int(stage.noted("pids")[0]), signal.SIGKILL)
        await stage.work("FILE src/a/new.py: x = 2")
        await stage.ends("done", 2)
        first, second = stage.noted("starts")
        assert second == ["--resume", first[1]]
        assert stage.noted("calls")[1] == "FILE src/a/new.py: x = 2"

    perform(scenario)


@pytest.mark.parametrize("again", [[sys.executable, "{home}/parrot.py", "--broken"], []], ids=["fails", "has-no-way"])
def test_a_program_that_cannot_go_on_with_its_conversation_gets_its_prompts_again(
    perform: Perform, again: list[str]
) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.work("FILE src/a/new.py: x = 1\nQUIT 0")
        await stage.ends("done")
        opening = stage.noted("calls")[0]
        number = await stage.work("FILE src/a/new.py: x = 2")
        await stage.until("calls", 2)
        first, *broken, last = stage.noted("starts")
        assert [start[0] for start in broken] == (["--broken"] if again else [])
        assert last[0] == "--new" and last[1] != first[1]
        assert stage.noted("calls")[1] == f"{opening}\n\n---\n\nFILE src/a/new.py: x = 2"
        await stage.hub.wait_for("ack", of=number)
        assert stage.answers()[number] == "delivered"

    perform(scenario, again=again)
