from __future__ import annotations

import asyncio
import io
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from aegis_tui.adapters.code_map.reader import SourceReader
from aegis_tui.adapters.llm.openai import OpenAIChat
from aegis_tui.adapters.symbols.reader import FileSymbols
from aegis_tui.agent.pane import Pane
from aegis_tui.agent.role import load_role
from aegis_tui.agent.screen import Screen
from aegis_tui.agent.session import AgentSession
from aegis_tui.agent.settings import AgentSettings, InstanceScope
from aegis_tui.domain.scope.partition import PartitionTable
from aegis_tui.testing.canned_llm import CannedModel
from aegis_tui.testing.memory_hub import MemoryHub, Recorded

SYMBOLS = FileSymbols()
ME, OTHER = "NATIVE-w01", "NATIVE-w02"
MINE, JOINT = ("src/a/**", "tests/a/**"), ("src/routes.py",)


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True, timeout=30)
    return done.stdout.strip()


@pytest.fixture
def worktree(tmp_path: Path) -> Path:
    """A linked worktree with one commit, as an instance gets it."""
    repository = tmp_path / "repository"
    (repository / "src/a").mkdir(parents=True)
    (repository / "src/b").mkdir()
    (repository / "src/a/app.py").write_text("def greet():\n    return 'hi'\n")
    (repository / "src/b/other.py").write_text("x = 1\n")
    (repository / "src/routes.py").write_text("ROUTES = [\n]\n")
    git(repository, "init", "-q", "-b", "main")
    git(repository, "config", "user.name", "Person")
    git(repository, "config", "user.email", "person@example.org")
    git(repository, "add", "-A")
    git(repository, "commit", "-q", "-m", "start")
    git(repository, "worktree", "add", "-q", "-b", "aegis/r1/w01", str(tmp_path / "w01"))
    return tmp_path / "w01"


@dataclass
class Bench:
    """A running session and what is around it."""

    worktree: Path
    hub: MemoryHub
    server: CannedModel
    session: AgentSession
    console: io.StringIO
    base_oid: str

    async def work(self, text: str = "Add a.", **context: Any) -> None:
        await self.hub.prompt(ME, text, **{"spec_id": "a", "base_oid": self.base_oid, "task": "implement", **context})

    async def ends(self, state: str) -> Recorded:
        return await self.hub.wait_for("agent:report", state=state)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Return once the condition holds; the scenario's own deadline bounds the wait."""
        while True:
            if condition():
                return
            await asyncio.sleep(0.01)

    async def heard(self) -> None:
        """Return once the session has taken every event there is."""
        seq = len(self.hub.events)
        await self.until(lambda: self.session.inbox.last_seq >= seq)

    def results(self) -> list[str]:
        return [str(message["content"]) for message in self.session.conversation.messages if message["role"] == "tool"]

    def users(self) -> list[str]:
        return [str(message["content"]) for message in self.session.conversation.messages if message["role"] == "user"]

    @property
    def screen(self) -> str:
        return self.console.getvalue()


def _settings(worktree: Path, role: str, base_url: str, *, orphan_s: float) -> AgentSettings:
    return AgentSettings(
        orphan_s=orphan_s,
        instance_id="w01",
        agent_id=ME,
        role=role,
        hub="",
        token_file=worktree / "none",
        base_url=base_url,
        model=None,
        scope=InstanceScope(partition=MINE, joint=JOINT, owners={"src/b/**": OTHER}),
        shared_context="# Repository\n\nA shop.",
        max_turns=12,
        worktree=worktree,
    )


@asynccontextmanager
async def running(
    worktree: Path,
    *,
    role: str = "worker",
    in_role: Mapping[str, Any] = MappingProxyType({}),
    base_url: str = "",
    waiting: str = "",
    orphan_s: float = 600.0,
    beat_s: float = 0.05,
) -> AsyncIterator[Bench]:
    partitions = PartitionTable()
    partitions.set(ME, MINE)
    partitions.set(OTHER, ("src/b/**",))
    partitions.set_scope(joint=JOINT)
    hub = MemoryHub(partitions)
    if waiting:
        await hub.prompt(ME, waiting)
    async with CannedModel() as server:
        settings = _settings(worktree, role, base_url or server.base_url, orphan_s=orphan_s)
        console = io.StringIO()
        screen = Screen(Pane(console))
        model = OpenAIChat(settings.base_url, attempts=2, backoff_s=0.01)
        session = AgentSession(
            settings,
            load_role(role).model_copy(update=in_role),
            link=hub.link(ME),
            model=model,
            symbols=SYMBOLS,
            facts=SourceReader(),
            screen=screen,
            beat_s=beat_s,
        )
        task = asyncio.create_task(session.run())
        try:
            await hub.wait_for("agent:report", state="idle")
            yield Bench(worktree, hub, server, session, console, git(worktree, "rev-parse", "HEAD"))
        finally:
            session.stop("test over")
            await task
            await model.close()


@pytest.fixture
def play(worktree: Path) -> Callable[..., None]:
    """Runs a scenario, a coroutine function of a `Bench`, against a session in `worktree`."""

    def run(scenario: Callable[[Bench], Awaitable[None]], **options: Any) -> None:
        async def bounded() -> None:
            async with asyncio.timeout(20), running(worktree, **options) as bench:
                await scenario(bench)

        asyncio.run(bounded())

    return run


@pytest.fixture
def other_server(request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of the second, independent model server; a parameter is one of its styles."""
    style = [request.param] if hasattr(request, "param") else []
    argv = [sys.executable, str(Path(__file__).parent / "other_model_server.py"), *style]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()
            process.wait(10)
