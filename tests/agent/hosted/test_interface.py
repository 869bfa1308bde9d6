"""A turn that a person interrupts in the program's own interface is not submitted; the next prompt continues it."""

from __future__ import annotations

import asyncio
import io
import json
import os
import pty
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from aegis_tui.agent.hosted import delivery, terminal
from aegis_tui.agent.hosted.delivery import Requests
from aegis_tui.agent.hosted.limit_watch import LimitWatch
from aegis_tui.agent.hosted.relay import Counted
from aegis_tui.agent.hosted.session import HostedSession
from aegis_tui.agent.hosted.terminal import TerminalRunner
from aegis_tui.agent.pane import Pane
from aegis_tui.agent.screen import Screen
from aegis_tui.domain.hosting.kind_file import KindFile
from aegis_tui.domain.scope.partition import PartitionTable
from aegis_tui.ports.llm import Usage
from aegis_tui.testing.memory_hub import MemoryHub, Recorded
from tests.agent.conftest import git
from tests.agent.hosted.cage import ME, settings_of, values_of

PROGRAM = r"""
import json, os, threading, tty

# It calls its model with what it is told: `FILE path: text` it writes, `WORK n` takes n seconds, in which Esc stops it
# and Ctrl-C ends the program.
tty.setraw(0)
place = os.environ["PARROT_PLACE"]
os.write(1, b"\x1b[?2004hReady to type")
stop = threading.Event()

def note(name, text):
    with open(f"{place}/{name}", "a") as file:
        file.write(json.dumps(text) + "\n")

def work(text):
    note("calls", text)
    for line in text.splitlines():
        if line.startswith("FILE "):
            path, _, content = line[5:].partition(": ")
            with open(path, "w") as file:
                file.write(content + "\n")
        if line.startswith("WORK ") and stop.wait(float(line[5:])):
            break
    note("ends", text)

box, pasting, seen = b"", False, b""
while True:
    seen += os.read(0, 65536)
    while seen:
        if seen.startswith(b"\x1b[200~"):
            pasting, seen = True, seen[6:]
        elif seen.startswith(b"\x1b[201~"):
            pasting, seen = False, seen[6:]
        elif seen[:1] == b"\r" and not pasting:
            stop.clear()
            threading.Thread(target=work, args=(box.decode(),), daemon=True).start()
            box, seen = b"", seen[1:]
            os.write(1, b"\r\nsent\r\n")
        elif seen[:1] == b"\x1b" and not pasting:
            stop.set()
            seen = seen[1:]
        elif seen[:1] == b"\x03" and not pasting:
            note("ends", "")
            os._exit(0)
        else:
            box, seen = box + seen[:1], seen[1:]
"""
Play = Callable[..., None]

HALF = "FILE src/a/new.py: half = 1\nWORK 30"


@dataclass
class Stage:
    """A running wrapper, the person's end of its pane, and what the program has noted."""

    worktree: Path
    hub: MemoryHub
    person: int
    place: Path

    async def work(self, text: str) -> None:
        """Send a prompt as the hub does."""
        base_oid = git(self.worktree, "rev-parse", "main")
        await self.hub.prompt(ME, text, spec_id="a", base_oid=base_oid, task="implement")

    async def begun(self, text: str) -> None:
        """Send a prompt, and return once the program works on it; the play's deadline bounds the wait."""
        await self.work(text)
        await self.hub.wait_for("ack")

    def type(self, keys: bytes) -> None:
        """Press keys as a person in the pane."""
        os.write(self.person, keys)

    def noted(self, name: str) -> list[str]:
        """The prompts of which the program has noted that it calls its model with them (`calls`), or ends (`ends`)."""
        path = self.place / name
        return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []

    async def reports(self, state: str, count: int = 1) -> Recorded:
        """Return a state's report once it is made so often; the play's deadline bounds the wait."""
        while True:
            reports = [item for item in self.hub.of_type("agent:report") if item.fields["state"] == state]
            if len(reports) >= count:
                return reports[count - 1]
            await asyncio.sleep(0.01)

    async def count(self) -> Counted:
        """What a gateway would have counted: a call lasts as long as the program's work."""
        calls = len(self.noted("calls"))
        return Counted(Usage(1, 1, 0), calls, calls - len(self.noted("ends")))

    async def relay(self, requests: Requests) -> None:
        """Pass on what the program calls its model with, and read what the pane shows, as a terminal does."""
        while True:
            for text in self.noted("calls")[requests.count :]:
                await requests.add(json.dumps({"messages": [{"content": text}]}).encode())
            try:
                os.read(self.person, 65536)
            except BlockingIOError:
                await asyncio.sleep(0.01)


@asynccontextmanager
async def staged(worktree: Path, **more: Any) -> AsyncIterator[Stage]:
    partitions = PartitionTable()
    partitions.set(ME, ("src/a/**",))
    hub, requests, home = MemoryHub(partitions), Requests(), worktree.parent / "home"
    (home / "runs").mkdir(parents=True)
    program = home / "parrot.py"
    program.write_text(PROGRAM, "utf-8")
    mode = {"argv": [sys.executable, str(program)], "ready": "Ready to type"}
    kind = KindFile.model_validate({"title": "a parrot", "terminal": mode, "mcp": "{tool}", **more})
    settings, values = settings_of(worktree, home, "worker"), values_of(worktree, home)
    person, pane = pty.openpty()
    os.set_blocking(person, False)
    stage = Stage(worktree, hub, person, home / "runs")
    runner = TerminalRunner(settings, kind, values, requests=requests, count=stage.count, pane=(pane, pane))
    session = HostedSession(
        settings,
        "parrot",
        kind,
        team_rules="",
        link=hub.link(ME),
        screen=Screen(Pane(io.StringIO())),
        values=values,
        runner=runner,
        limits=LimitWatch(kind.usage_limit),
        count=stage.count,
        beat_s=0.05,
    )
    relay, life = asyncio.create_task(stage.relay(requests)), asyncio.create_task(session.run())
    try:
        await stage.reports("idle")
        yield stage
    finally:
        session.stop("test over")
        await life
        await runner.close()
        relay.cancel()
        await asyncio.gather(relay, return_exceptions=True)
        os.close(person)
        os.close(pane)


@pytest.fixture
def play(worktree: Path, monkeypatch: pytest.MonkeyPatch) -> Play:
    """Runs a scenario, a coroutine function of a `Stage`, with further fields of the kind."""
    monkeypatch.setattr(delivery, "_SETTLED_S", 0.1)
    monkeypatch.setattr(delivery, "_ECHO_S", 0.05)
    monkeypatch.setattr(terminal, "_LOOK_S", 0.1)
    monkeypatch.setattr(terminal, "_SETTLED_S", 0.5)

    def run(scenario: Callable[[Stage], Awaitable[None]], **more: Any) -> None:
        async def bounded() -> None:
            async with asyncio.timeout(60), staged(worktree, **more) as stage:
                await scenario(stage)

        asyncio.run(bounded())

    return run


@pytest.mark.parametrize("key", [b"\x1b", b"\x1b\x1b", b"\x03"], ids=["esc", "esc-esc", "ctrl-c-ends-it"])
def test_an_interrupted_turn_is_not_submitted_until_the_next_prompt_has_continued_it(play: Play, key: bytes) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.begun(HALF)
        stage.type(key)
        idle = await stage.reports("idle", 2)
        assert "interrupted" in idle.fields["note"]
        assert not stage.hub.of_type("diff:submit")
        await stage.work("FILE src/a/new.py: whole = 1")
        await stage.reports("done")
        (submitted,) = stage.hub.of_type("diff:submit")
        assert git(stage.worktree, "show", f"{submitted.fields['head_oid']}:src/a/new.py") == "whole = 1"

    play(scenario)


def test_keys_that_end_no_turn_leave_its_work_to_be_submitted(play: Play) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.begun("FILE src/a/new.py: x = 1\nWORK 1")
        stage.type(b"\x1b[A\x1b[B/he")
        await stage.reports("done")
        assert len(stage.hub.of_type("diff:submit")) == 1

    play(scenario)


def test_a_program_that_a_person_interrupts_at_its_usage_limit_does_not_go_on_by_itself(play: Play) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.begun(HALF)
        stage.type(b"\x1b")
        await stage.reports("idle", 2)
        assert [item.fields["state"] for item in stage.hub.of_type("agent:report")] == ["idle", "exploring", "idle"]

    play(scenario, usage_limit={"rules": [{"pattern": "sent"}]})  # which its screen shows
