"""A whole run without a process: the real workflow and engine over ports in memory, agents played by a task."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from aegis_tui.adapters.agents.native import NativeAgent
from aegis_tui.adapters.judge_apart import judge_apart
from aegis_tui.adapters.rule_files import shipped_rules
from aegis_tui.config import Limits
from aegis_tui.domain import command as commands
from aegis_tui.domain.command import AnyCommand
from aegis_tui.domain.decision import THE_PERSON, Actor
from aegis_tui.domain.event import Event
from aegis_tui.domain.ids import NATIVE
from aegis_tui.domain.instance.commands import AgentRegister
from aegis_tui.domain.instance.model import Instance, Phase
from aegis_tui.domain.piece.commands import DiffSubmit
from aegis_tui.domain.run.commands import RunStart
from aegis_tui.domain.run.events import RunFacts, RunOptions
from aegis_tui.domain.run.model import Run, RunStatus
from aegis_tui.domain.run.report_model import CommitSeen
from aegis_tui.domain.workspace import Workspace
from aegis_tui.errors import DiskFull
from aegis_tui.hub.engine import Engine
from aegis_tui.orchestrator.disk_watch import DiskWatch
from aegis_tui.orchestrator.gateway import UsualEndpoint
from aegis_tui.orchestrator.instances import InstanceKeeper, Places
from aegis_tui.orchestrator.integrate import Integrator
from aegis_tui.orchestrator.piece_qa import PieceQa
from aegis_tui.orchestrator.qa import Quality
from aegis_tui.orchestrator.qa_outputs import QaOutputs
from aegis_tui.orchestrator.qa_run import QaRunner
from aegis_tui.orchestrator.recompose import Recomposer
from aegis_tui.orchestrator.rule_check import RuleCheck
from aegis_tui.orchestrator.workflow import Workflow, WorkflowParts
from aegis_tui.ports.agent_kind import AgentKind
from aegis_tui.ports.program import ProgramResult
from aegis_tui.sdk.clock import SystemClock
from aegis_tui.testing.failing import Failing
from aegis_tui.testing.memory_composing import MemoryComposing
from aegis_tui.testing.memory_log import MemoryLog
from aegis_tui.testing.memory_machine import (
    BareEnvironment,
    MemoryGateway,
    NoResultFiles,
    NoSecrets,
    OpenSandbox,
    SaidPrograms,
)
from aegis_tui.testing.memory_repository import MemoryRepository
from aegis_tui.testing.memory_terminal import MemoryTerminal

DEADLINE_S = 20.0
PASSED = f"test_a ... ok\n\n{'-' * 70}\nRan 1 test in 0.001s\n\nOK\n"
CHECK = "python3 -m unittest -v"
FOLDERS = ("instances", "worktrees", "scratch", "sockets", "logs", "qa")
DESIGN: dict[str, Any] = {
    "goal": "Two things",
    "features": [
        {"id": "alpha", "title": "Alpha", "brief": "a", "partition": ["src/a/**"]},
        {"id": "beta", "title": "Beta", "brief": "b", "partition": ["src/b/**"]},
    ],
    "qa": {"commands": [CHECK]},
}


class WideDisk:
    """A meter whose folders never hold too much."""

    async def wait_until_over(self, folders: Sequence[Path], limit_bytes: int) -> int:
        await asyncio.Event().wait()
        return 0


class Bench:
    """One workspace. A test changes what it plays before `run`.

    Args:
        folder: Takes the few files that the orchestrator writes.
        design: Of the run.
        options: Of the run.
    """

    def __init__(self, folder: Path, design: dict[str, Any] | None = None, **options: Any) -> None:
        self.places = {name: folder / name for name in FOLDERS}
        for place in self.places.values():
            place.mkdir()
        self.repository = MemoryRepository(folder / "repo", {"README.md": "hello\n", "src/a/x.py": "a = 0\n"})
        self.log = MemoryLog()
        self.terminal = MemoryTerminal()
        self.gateway = MemoryGateway()
        self.disks = DiskWatch(WideDisk(), 1 << 30)
        self.programs = SaidPrograms(lambda command: ProgramResult(0, PASSED, 0.1))
        ports = {
            "repository": self.repository,
            "composing": MemoryComposing(self.repository),
            "terminal": self.terminal,
            "log": self.log,
        }
        self.faults = {name: Failing(port) for name, port in ports.items()}
        self.design, self.options = design or DESIGN, options
        self.plays: dict[str, Callable[[Instance], Any]] = {}
        """Called once before an instance does its work, by its short id. Where it gives False, nothing follows; where
        it gives "joined", the instance joins the hub and does no more."""
        self.kinds: dict[str, AgentKind] = {NATIVE: NativeAgent()}
        """The kinds of agents that can be started."""
        self._seen: set[str] = set()

    def open_engine(self) -> Engine:
        """The hub's engine over the log."""
        return Engine(self.faults["log"], SystemClock())

    def open_workflow(self, engine: Engine) -> Workflow:
        """The workflow of a hub; another one goes on where it stopped."""
        repository, terminal = self.faults["repository"], self.faults["terminal"]
        sandbox, surroundings = OpenSandbox(), BareEnvironment()
        keeper = InstanceKeeper(
            find_kind=lambda name: self.kinds[name],
            repository=repository,
            terminal=terminal,
            sandbox=sandbox,
            places=Places(*(self.places[name] for name in FOLDERS[:5])),
            key="0123456789ab",
            environ={"PATH": "/usr/bin"},
            git_environment={},
            surroundings=surroundings,
        )
        runner = QaRunner(
            repository=repository,
            sandbox=sandbox,
            programs=self.programs,
            scratch_dir=self.places["scratch"],
            environ={},
            surroundings=surroundings,
            result_files=NoResultFiles(),
            limits=Limits(),
        )
        quality = self._quality(repository, runner)
        parts = WorkflowParts(
            terminal=terminal,
            keeper=keeper,
            integrator=Integrator(repository),
            recomposer=Recomposer(repository=repository, composing=self.faults["composing"], quality=quality),
            piece_qa=self._piece_qa(repository, quality),
            quality=quality,
            rules=self._rules(repository),
            gateway=self.gateway,
            find_endpoint=lambda: UsualEndpoint("http://127.0.0.1:2/v1", None),
            hash_joined=lambda agent_id, session: f"{agent_id} {session}",
            describe_commit=self._describe,
            disks=self.disks,
        )
        return Workflow(parts, engine)

    def _quality(self, repository: Any, runner: QaRunner) -> Quality:
        outputs = QaOutputs(self.places["qa"])
        return Quality(repository=repository, runner=runner, outputs=outputs, timeout_s=lambda: 60.0)

    def _piece_qa(self, repository: Any, quality: Quality) -> PieceQa:
        composing, integrator = self.faults["composing"], Integrator(repository)
        return PieceQa(repository=repository, composing=composing, integrator=integrator, quality=quality)

    def _rules(self, repository: Any) -> RuleCheck:
        files, judge = self._list_files, judge_apart
        return RuleCheck(
            repository=repository, list_files=files, scanner=NoSecrets(), shipped=shipped_rules, judge=judge
        )

    async def _list_files(self, oid: str) -> dict[str, str]:
        return dict.fromkeys(self.repository.files(oid), "")

    async def _describe(self, oid: str) -> CommitSeen:
        return {"subject": self.repository.message(oid).splitlines()[0], "files": 1, "trailers": {}}

    async def start(self, engine: Engine) -> None:
        """Give the goal."""
        facts = RunFacts(workspace="k", base_oid=self.repository.head, base_branch="main", qa_commands=(CHECK,))
        options = RunOptions(base_url="http://127.0.0.1:1/v1", sandbox="off", **self.options)
        command = RunStart(goal="Two things", design=self.design, options=options, run="run1", facts=facts)
        await engine.submit(command, THE_PERSON)

    async def play(self, engine: Engine) -> None:
        """Every agent that is launched joins, does its work and hands it in; every reviewer approves."""
        async for _ in engine.changes():
            for item in await engine.read(lambda workspace: [one.model_copy() for one in workspace.instances.alive()]):
                if item.phase is Phase.LAUNCHED and item.agent_id not in self._seen:
                    self._seen.add(item.agent_id)
                    await self._play(engine, item)

    async def _play(self, engine: Engine, item: Instance) -> None:
        play = self.plays.pop(item.instance_id, None)
        played = None if play is None else play(item)
        if played is False:
            return
        me = Actor(item.agent_id, "instance")
        await _insist(engine, AgentRegister(), me)
        if played == "joined":
            return
        if item.review_id:
            verdict = {"type": "review:verdict", "review_id": item.review_id, "decision": "approve"}
            await _insist(engine, commands.parse_command(verdict), me)
        elif item.piece:
            path = f"src/{item.piece[0]}/new.py"
            head = self.repository.change(item.branch or "", {path: f"by = '{item.instance_id}'\n"})
            diff = DiffSubmit(
                spec_id=f"run1-{item.piece}", base_oid=item.base_oid or self.repository.head, head_oid=head
            )
            await _insist(engine, diff, me)

    async def run(self, until: Callable[[Run], bool] | None = None) -> Run:
        """Start, play, and return the run once it is over (or `until` holds), with everything stopped."""
        engine = self.open_engine()
        await engine.open()
        try:
            await self.start(engine)
            return await self.go_on(engine, until)
        finally:
            await engine.close()

    async def go_on(self, engine: Engine, until: Callable[[Run], bool] | None = None) -> Run:
        """As a hub that finds a run in the log."""
        workflow = self.open_workflow(engine)
        playing = asyncio.create_task(self.play(engine))
        await workflow.start()
        try:
            async with asyncio.timeout(DEADLINE_S):
                async for _ in engine.changes():
                    run = await engine.read(_latest)
                    if run.status is RunStatus.COMPLETED or (until and until(run)):
                        return run
            raise AssertionError("the changes ended")
        finally:
            playing.cancel()
            await workflow.stop()
            await asyncio.gather(playing, return_exceptions=True)

    def events(self, kind: str) -> list[Event]:
        """The logged events of one type."""
        return [event for event in self.log.written if event.type == kind]


async def _insist(engine: Engine, command: AnyCommand, actor: Actor) -> None:
    """Submit a command until the disk takes it: an agent asks again."""
    while True:
        try:
            await engine.submit(command, actor)
            return
        except DiskFull:
            await asyncio.sleep(0)


def _latest(workspace: Workspace) -> Run:
    run = workspace.runs.latest()
    assert run is not None
    return run.model_copy(deep=True)
