"""A wrapper that runs a program with its own interface, written for the test, on a pane at which a person can type."""

from __future__ import annotations

import asyncio
import io
import json
import os
import pty
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aegis_tui.agent.hosted.delivery import Requests
from aegis_tui.agent.hosted.hear import box_of
from aegis_tui.agent.hosted.limit_watch import LimitWatch
from aegis_tui.agent.hosted.relay import Counted
from aegis_tui.agent.hosted.session import HostedSession
from aegis_tui.agent.hosted.terminal import TerminalRunner
from aegis_tui.agent.pane import Pane
from aegis_tui.agent.screen import Screen
from aegis_tui.domain.hosting.kind_file import KindFile
from aegis_tui.domain.scope.partition import PartitionTable
from aegis_tui.ports.llm import Usage
from aegis_tui.sdk.notice_box import NoticeBox
from aegis_tui.testing.memory_hub import MemoryHub, Recorded
from tests.agent.conftest import git
from tests.agent.hosted.cage import ME, settings_of, values_of

INTERFACE = r"""
import json, os, sys, threading, time, tty

# What it is told, by pasted and typed text, it calls its model with. It writes the lines `FILE path: text`. `WORK n`
# takes n seconds, in which Escape stops it, and `THINK n` some time between two calls. `QUIT n` and Ctrl-C end it, and
# `/exit` does so without a call to its model.
tty.setraw(0)
place = os.environ["PARROT_PLACE"]
for name, noted in (("starts", sys.argv[1:]), ("pids", os.getpid())):
    with open(f"{place}/{name}", "a") as file:
        file.write(json.dumps(noted) + "\n")
if "--broken" in sys.argv:
    sys.exit(9)
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
            note("stopped", text)
            break
        if line.startswith("THINK "):  # between two calls: nothing but its interface moves
            note("ends", text)
            for _ in range(int(line[6:])):
                os.write(1, b".")
                time.sleep(0.2)
            note("calls", text)
        if line.startswith("QUIT "):
            note("ends", text)
            os._exit(int(line[5:]))
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
            if box == b"/exit":
                os._exit(0)
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
TERMINAL = {
    "argv": [sys.executable, "{home}/parrot.py", "--new", "{session}"],
    "again": [sys.executable, "{home}/parrot.py", "--resume", "{session}"],
    "ready": "Ready to type",
}

Perform = Callable[..., None]
"""Runs a scenario, a coroutine function of a `Stage`, with further arguments of `staged`."""


@dataclass
class Stage:
    """A running wrapper, the person's end of its pane, and what the program has noted."""

    worktree: Path
    hub: MemoryHub
    session: HostedSession
    runner: TerminalRunner
    box: NoticeBox
    person: int
    place: Path
    base_oid: str

    async def work(self, text: str) -> int:
        """Send a prompt as the hub does; return the number of its message."""
        context = {"spec_id": "a", "base_oid": self.base_oid, "task": "implement"}
        return (await self.hub.prompt(ME, text, **context)).seq

    async def finish_first(self) -> None:
        """Let the program do a first task, and return once its work is submitted."""
        await self.work("FILE src/a/new.py: x = 1")
        await self.ends("done")

    async def begin(self, text: str) -> None:
        """Send a first prompt, and return once the program works on it and the hub knows that it was delivered."""
        await self.work(text)
        await self.until("calls", 1)
        await self.hub.wait_for("ack")

    def type(self, keys: bytes) -> None:
        """Press keys as a person in the pane."""
        os.write(self.person, keys)

    def noted(self, name: str) -> list[Any]:
        """What the program has noted under a name: `starts`, `pids`, `calls`, `ends` or `stopped`."""
        path = self.place / name
        return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []

    async def until(self, name: str, count: int) -> None:
        """Return once the program has noted so many things; the play's deadline bounds it."""
        while True:
            if len(self.noted(name)) >= count:
                return
            await asyncio.sleep(0.01)

    async def ends(self, state: str, count: int = 1) -> Recorded:
        """Return the report of a state once there are so many; the play's deadline bounds it."""
        while True:
            got = [item for item in self.hub.of_type("agent:report") if item.fields["state"] == state]
            if len(got) >= count:
                return got[count - 1]
            await asyncio.sleep(0.01)

    async def until_submitted(self, count: int) -> None:
        """Return once the work was submitted so often; the play's deadline bounds it."""
        while True:
            if len(self.hub.of_type("diff:submit")) >= count:
                return
            await asyncio.sleep(0.01)

    def answers(self) -> dict[int, str]:
        """What the hub was told about messages: number -> answer."""
        return {item.fields["of"]: item.fields.get("delivery", "delivered") for item in self.hub.of_type("ack")}

    @property
    def states(self) -> list[str]:
        return [item.fields["state"] for item in self.hub.of_type("agent:report")]


@asynccontextmanager
async def staged(
    worktree: Path, *, calls_model: bool = True, usage_limit: Mapping[str, Any] | None = None, **terminal: Any
) -> AsyncIterator[Stage]:
    """Run a wrapper with the interface; without `calls_model`, nothing that it is told reaches its model."""
    partitions = PartitionTable()
    partitions.set(ME, ("src/a/**",))
    hub, requests = MemoryHub(partitions), Requests()
    home = worktree.parent / "home"
    (home / "runs").mkdir(parents=True)
    (home / "parrot.py").write_text(INTERFACE, "utf-8")
    settings, values = settings_of(worktree, home, "worker"), values_of(worktree, home)
    mode = {**TERMINAL, **terminal}
    kind = KindFile.model_validate({"title": "a parrot", "terminal": mode, "usage_limit": usage_limit or {}})
    person, pane = pty.openpty()
    os.set_blocking(person, False)

    async def count() -> Counted:
        running = len(stage.noted("calls")) - len(stage.noted("ends"))
        return Counted(Usage(1, 1, 0), requests.count, running if calls_model else 0)

    runner = TerminalRunner(settings, kind, values, requests=requests, count=count, pane=(pane, pane))
    parts: dict[str, Any] = {"link": hub.link(ME), "screen": Screen(Pane(io.StringIO())), "values": values}
    parts |= {"runner": runner, "limits": LimitWatch(kind.usage_limit), "count": count, "team_rules": ""}
    session = HostedSession(settings, "parrot", kind, beat_s=0.05, **parts)
    base_oid = git(worktree, "rev-parse", "HEAD")
    stage = Stage(worktree, hub, session, runner, box_of(str(home)), person, home / "runs", base_oid)
    helpers = [asyncio.create_task(drain(person)), asyncio.create_task(_relay(stage, requests, passes=calls_model))]
    running = asyncio.create_task(session.run())
    try:
        await stage.ends("idle")
        yield stage
    finally:
        session.stop("test over")
        await running
        await runner.close()
        for helper in helpers:
            helper.cancel()
        await asyncio.gather(*helpers, return_exceptions=True)
        os.close(person)
        os.close(pane)


async def _relay(stage: Stage, requests: Requests, *, passes: bool) -> None:
    """Let each text that the program calls its model with become a request to it."""
    while passes:
        for text in stage.noted("calls")[requests.count :]:
            await requests.add(json.dumps({"messages": [{"content": text}]}).encode())
        await asyncio.sleep(0.01)


async def drain(person: int) -> None:
    """Read what the pane shows, as a terminal does."""
    while True:
        try:
            os.read(person, 65536)
        except BlockingIOError:
            await asyncio.sleep(0.005)
