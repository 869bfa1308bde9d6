"""A wrapper that runs a program written for the test, in memory but for git, files and processes."""

from __future__ import annotations

import asyncio
import io
import json
import sys
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aegis_tui.agent.hosted.headless import HeadlessRunner
from aegis_tui.agent.hosted.hear import hear_commands
from aegis_tui.agent.hosted.layers import guard_commands
from aegis_tui.agent.hosted.limit_watch import LimitWatch
from aegis_tui.agent.hosted.relay import Counted
from aegis_tui.agent.hosted.runner import Runner
from aegis_tui.agent.hosted.session import HostedSession
from aegis_tui.agent.pane import Pane
from aegis_tui.agent.screen import Screen
from aegis_tui.agent.settings import AgentSettings, InstanceScope
from aegis_tui.domain.hosting.kind_file import KindFile
from aegis_tui.domain.scope.partition import PartitionTable
from aegis_tui.ports.llm import Usage
from aegis_tui.testing.memory_hub import MemoryHub, Recorded
from tests.agent.conftest import git

ME = "PARROT-w01"
PROGRAM = """
import json, os, subprocess, sys
place = os.environ["PARROT_PLACE"]
said = sys.stdin.read() if "--stdin" in sys.argv else sys.argv[-1]
number = len(os.listdir(place))
with open(f"{place}.new", "w") as file:
    json.dump({"argv": sys.argv[1:], "said": said, "key": os.environ.get("PARROT_KEY")}, file)
os.rename(f"{place}.new", f"{place}/{number}")  # who sees it sees all of it
with open(os.environ["PARROT_SCRIPT"]) as file:
    steps = json.load(file)
step = steps[min(number, len(steps) - 1)]
for path, text in step.get("write", {}).items():
    with open(path, "w") as file:
        file.write(text)
if "leave" in step:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    with open(step["leave"], "w") as file:
        file.write(str(child.pid))
for call in step.get("calls", []):
    with open(os.environ["AEGIS_TOOL_CALLS"], "a") as file:
        file.write(json.dumps(call) + "\\n")
for line in step.get("print", []):
    print(json.dumps(line) if isinstance(line, dict) else line, flush=True)
if "sleep" in step:
    import time
    time.sleep(step["sleep"])
sys.exit(step.get("code", 0))
"""
KIND = {
    "title": "a parrot",
    "programs": [sys.executable],
    "headless": {
        "argv": [sys.executable, "{home}/parrot.py", "--session", "{session}", "{prompt}"],
        "again": [sys.executable, "{home}/parrot.py", "--resume", "{session}", "{prompt}"],
    },
    "output": {"format": "jsonl", "show": ["said"], "summary": ["result"], "failed": ["is_error"]},
    "environment": {"PARROT_KEY": "{token}"},
    "files": [{"path": ".parrot/config.json", "text": '{"url": <<gateway_v1>>, "seed": [<<worktree>>]}'}],
    "mcp": "mcp__aegis__{tool}",
}


@dataclass
class Cage:
    """A running wrapper, and what is around it."""

    worktree: Path
    home: Path
    hub: MemoryHub
    session: HostedSession
    limits: LimitWatch
    console: io.StringIO
    base_oid: str

    def will(self, *steps: dict[str, Any]) -> None:
        """Set what the program does in its next runs; the last step is repeated."""
        (self.home / "script.json").write_text(json.dumps(list(steps)))

    async def work(self, text: str = "Add a.", **context: Any) -> None:
        await self.hub.prompt(ME, text, **{"spec_id": "a", "base_oid": self.base_oid, "task": "implement", **context})

    async def ends(self, state: str) -> Recorded:
        return await self.hub.wait_for("agent:report", state=state)

    async def begun(self) -> None:
        """Return once the program has been started; it is another process, so its files are looked at."""
        while True:
            if self.runs():
                return
            await asyncio.sleep(0.01)

    async def times(self, count: int, command_type: str, **fields: Any) -> None:
        """Return once that many commands of this type with these fields have come; the play's deadline bounds it."""
        while True:
            got = [item for item in self.hub.of_type(command_type) if fields.items() <= dict(item.fields).items()]
            if len(got) >= count:
                return
            await asyncio.sleep(0.01)

    async def knows(self, path: str) -> None:
        """Return once the wrapper knows that the program has to do with a file; the play's deadline bounds it."""
        while True:
            if path in self.session.activity.touched:
                return
            await asyncio.sleep(0.01)

    def runs(self) -> list[dict[str, Any]]:
        files = sorted((self.home / "runs").iterdir(), key=lambda path: int(path.name))
        return [json.loads(path.read_text()) for path in files]

    @property
    def screen(self) -> str:
        return self.console.getvalue()


def hook(tool: str, **arguments: str) -> dict[str, Any]:
    """What a program's hook writes down before a tool call."""
    return {"hook_event_name": "PreToolUse", "tool_name": tool, "tool_input": arguments}


def settings_of(worktree: Path, home: Path, role: str) -> AgentSettings:
    return AgentSettings(
        orphan_s=600.0,
        instance_id="w01",
        agent_id=ME,
        role=role,
        hub="",
        token_file=worktree / "none",
        base_url="http+unix:/nowhere",
        model=None,
        scope=InstanceScope(partition=("src/a/**",), joint=("src/routes.py",)),
        shared_context="# Repository\n\nA shop.",
        max_turns=12,
        worktree=worktree,
        tool_environment={"PARROT_PLACE": str(home / "runs"), "PARROT_SCRIPT": str(home / "script.json")},
    )


def values_of(worktree: Path, home: Path) -> dict[str, str]:
    return {
        "session": str(uuid.uuid4()),
        "gateway": "http://127.0.0.1:1",
        "gateway_v1": "http://127.0.0.1:1/v1",
        **guard_commands(sys.executable),
        **hear_commands(sys.executable),
        "home": str(home),
        "instance": "w01",
        "model": "m",
        "permission": "",
        "python": sys.executable,
        "repository": str(worktree.parent),
        "token": "secret-token",
        "worktree": str(worktree),
    }


def add_hook(worktree: Path, script: str) -> None:
    """Let git run these lines of shell before each commit in the worktree."""
    hook = Path(git(worktree, "rev-parse", "--path-format=absolute", "--git-path", "hooks/pre-commit"))
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\n{script}\n")
    hook.chmod(0o755)


async def counted() -> Counted:
    return Counted(Usage(100, 10, 50), 1, 0)


@asynccontextmanager
async def running(
    worktree: Path, *, role: str = "worker", make_runner: Callable[..., Runner] = HeadlessRunner, **changes: Any
) -> AsyncIterator[Cage]:
    partitions = PartitionTable()
    partitions.set(ME, ("src/a/**",))
    partitions.set_scope(joint=("src/routes.py",))
    hub = MemoryHub(partitions)
    home = worktree.parent / "home"
    (home / "runs").mkdir(parents=True)
    (home / "parrot.py").write_text(PROGRAM)
    settings, values = settings_of(worktree, home, role), values_of(worktree, home)
    kind, console = KindFile.model_validate({**KIND, **changes}), io.StringIO()
    limits = LimitWatch(kind.usage_limit)
    runner = make_runner(settings, kind, values, Screen(Pane(console)))
    session = HostedSession(
        settings,
        "parrot",
        kind,
        team_rules="",
        link=hub.link(ME),
        screen=Screen(Pane(console)),
        values=values,
        runner=runner,
        limits=limits,
        count=counted,
        beat_s=0.05,
    )
    task = asyncio.create_task(session.run())
    try:
        ready = asyncio.create_task(hub.wait_for("agent:report", state="idle"))
        await asyncio.wait({ready, task}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            await task
        await ready
        yield Cage(worktree, home, hub, session, limits, console, git(worktree, "rev-parse", "HEAD"))
    finally:
        session.stop("test over")
        await task
        await runner.close()


Play = Callable[..., None]
