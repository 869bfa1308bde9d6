"""The workflow as one service of the hub: it runs the reconciler and the loops that watch panes, heads and disks."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from aegis_tui.domain.decision import THE_HUB
from aegis_tui.domain.event import Event
from aegis_tui.domain.instance.commands import InstanceMarkExited
from aegis_tui.domain.instance.model import Instance, Phase
from aegis_tui.domain.piece.commands import ConflictsObserved
from aegis_tui.domain.run.events import Stage
from aegis_tui.domain.run.model import Run
from aegis_tui.domain.scope.text import scope_of
from aegis_tui.domain.workspace import Workspace
from aegis_tui.errors import AegisError
from aegis_tui.orchestrator.advice import Advisor
from aegis_tui.orchestrator.disk_watch import DiskWatch, Watched
from aegis_tui.orchestrator.environment import EnvironmentMaker
from aegis_tui.orchestrator.gateway import FindEndpoint, Gateway, GatewayKeeper, HashJoined, is_connected
from aegis_tui.orchestrator.instances import InstanceKeeper
from aegis_tui.orchestrator.integrate import Integrator
from aegis_tui.orchestrator.live import LiveConflicts
from aegis_tui.orchestrator.piece_qa import PieceQa
from aegis_tui.orchestrator.qa import Quality
from aegis_tui.orchestrator.recompose import Recomposer
from aegis_tui.orchestrator.reconcile import DescribeCommit, Reconciler
from aegis_tui.orchestrator.result_hooks import ResultHooks
from aegis_tui.orchestrator.rule_check import RuleCheck
from aegis_tui.orchestrator.screen_watch import ScreenWatch
from aegis_tui.orchestrator.surroundings import DescribeSurroundings, PartitionSurroundings
from aegis_tui.ports.command_port import CommandPort
from aegis_tui.ports.failure_memory import FailureMemory
from aegis_tui.ports.terminal import Terminal

_log = logging.getLogger(__name__)

JOIN_DEADLINE_S = 90.0
"""A program that has not joined the hub this many seconds after its launch counts as exited."""

PANE_CHECK_S = 2.0
HEADS_CHECK_S = 1.5
PAGE = 1000


class Log(CommandPort, Protocol):
    """The command port, and read access to the log that it writes."""

    async def events(self, after: int, limit: int) -> list[Event]:
        """Return the logged events after the sequence number `after`, in order, at most `limit`; may be empty.

        Raises:
            StoreError: The log is damaged or cannot be read.
        """
        ...

    def add_listener(self, listener: Callable[[list[Event]], None]) -> None:
        """Call `listener` with each batch of events right after it is on disk; it must not block or raise."""
        ...


@dataclass(frozen=True, slots=True)
class WorkflowParts:
    """The parts of the workflow, chosen by the composition root."""

    terminal: Terminal
    keeper: InstanceKeeper
    integrator: Integrator
    recomposer: Recomposer
    quality: Quality
    rules: RuleCheck
    piece_qa: PieceQa
    gateway: Gateway
    find_endpoint: FindEndpoint
    hash_joined: HashJoined
    describe_commit: DescribeCommit
    disks: DiskWatch
    environments: EnvironmentMaker | None = None
    live: LiveConflicts | None = None
    """Predicts conflicts between uncommitted work; without it, only commits are compared."""
    open_memory: Callable[[], FailureMemory] | None = None
    hooks: ResultHooks | None = None
    """Runs the person's commit hooks on the result."""
    screens: ScreenWatch | None = None
    """Finds what programs ask on their screens; without it, nothing does."""
    describe_surroundings: DescribeSurroundings | None = None


class Workflow:
    """Keeps a run going. After a restart it continues from the log alone; it stores nothing elsewhere."""

    def __init__(self, parts: WorkflowParts, log: Log) -> None:
        self._parts, self._log = parts, log
        self._gateway = GatewayKeeper(
            parts.gateway, log, find_endpoint=parts.find_endpoint, hash_joined=parts.hash_joined
        )
        self._reconciler = Reconciler(
            port=log,
            keeper=parts.keeper,
            integrator=parts.integrator,
            recomposer=parts.recomposer,
            quality=parts.quality,
            rules=parts.rules,
            piece_qa=parts.piece_qa,
            read_events=self._events_after,
            describe_commit=parts.describe_commit,
            before_launch=self._gateway.serve,
            when_idle=self._all_quiet,
            environments=parts.environments,
            advisor=Advisor(parts.open_memory, self._events_after) if parts.open_memory else None,
            hooks=parts.hooks,
            surroundings=PartitionSurroundings(parts.describe_surroundings) if parts.describe_surroundings else None,
        )
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Start the loops that keep the run, the gateway and the panes going, and return; an open run continues.

        Call it once; `stop` ends the loops.

        Raises:
            AegisError: The state cannot be read, or instances are left and the terminal server cannot be started; no
                loop runs.
            OSError: The terminal server's configuration cannot be written; no loop runs.
        """
        if await self._log.read(_has_instances):
            await self._parts.terminal.start()
        loops: list[tuple[str, Callable[[], Coroutine[Any, Any, None]]]] = [
            ("reconciler", self._reconciler.run),
            ("gateway", self._gateway.run),
            ("exits", self._follow_exits),
            ("panes", self._check_panes),
            ("heads", self._watch_heads),
            ("fences", self._follow_fences),
            ("disks", self._watch_disks),
        ]
        if self._parts.live is not None:
            self._log.add_listener(self._parts.live.note)
            loops.append(("conflicts", self._parts.live.run))
        if self._parts.screens is not None:
            loops.append(("screens", self._parts.screens.run))
        await self._parts.keeper.fill()
        self._tasks = [asyncio.create_task(_forever(name, loop), name=name) for name, loop in loops]

    async def stop(self) -> None:
        """End every loop, and close all panes and the gateway unless instances of the current run are left.

        The gateway stays for an agent that a person connected too, because that goes on with the next hub. If the
        terminal server cannot be stopped, that is only logged.

        Raises:
            StoreError: The state cannot be read.
        """
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._parts.keeper.fill(on=False)
        if not await self._log.read(_has_instances):
            try:
                await self._all_quiet()
            except AegisError as error:
                _log.warning("the terminal server could not be stopped: %s", error.message)
            if not await self._log.read(_has_connected):
                await self._parts.gateway.close()

    async def _all_quiet(self) -> None:
        await self._parts.terminal.stop_server()

    async def _events_after(self, after: int) -> AsyncIterator[Event]:
        after = max(0, after)
        while page := await self._log.events(after, PAGE):
            for event in page:
                yield event
            after = page[-1].seq

    async def _follow_exits(self) -> None:
        async for end in self._parts.terminal.exits():
            await self._tell_exit(end.instance, end.status, end.signal, "")

    async def _tell_exit(self, name: str, status: int | None, signal: int | None, reason: str) -> None:
        instance = await self._log.read(lambda workspace: workspace.instances.find(name))
        if instance is not None and instance.phase in (Phase.LAUNCHED, Phase.JOINED, Phase.PREPARED):
            words = await self._parts.keeper.screens.words(instance.instance_id)
            command = InstanceMarkExited(
                agent_id=instance.agent_id, status=status, signal=signal, reason=reason, words=words
            )
            await self._log.submit(command, THE_HUB)

    async def _check_panes(self) -> None:
        """Record programs as exited whose pane is dead or gone, or that have not joined 90 s after their launch.

        Checks this every 2 s until cancelled: the event of an exit is missing if the pane died while the hub was down.

        Raises:
            AegisError: tmux does not answer, or the log cannot be read or written.
        """
        waited_s: dict[str, float] = {}  # counted by looks, so that a sleep of the machine counts for no time
        while True:
            expected = await self._log.read(_with_pane)
            panes = {}
            if expected:
                panes = {pane.instance: pane for pane in await self._parts.terminal.list_panes()}
            for name, phase in expected.items():
                pane = panes.get(name)
                if pane is None:
                    await self._tell_exit(name, None, None, "its pane is gone")
                elif pane.dead:
                    await self._tell_exit(name, pane.exit_status, pane.exit_signal, "")
                elif phase is Phase.LAUNCHED:
                    waited_s[name] = waited_s.get(name, 0.0) + PANE_CHECK_S
                    if waited_s[name] > JOIN_DEADLINE_S:
                        await self._tell_exit(name, None, None, "it did not join the hub in time")
            await asyncio.sleep(PANE_CHECK_S)

    async def _watch_disks(self) -> None:
        async def alive() -> list[Watched]:
            names = await self._log.read(_with_worktree)
            return [Watched(name, (worktree, *self._parts.keeper.written_by(name))) for name, worktree in names]

        async def end(name: str, reason: str) -> None:
            await self._parts.terminal.close_pane(name)
            await self._tell_exit(name, None, None, reason)

        await self._parts.disks.follow(alive, end)

    async def _follow_fences(self) -> None:
        """Update the commit hooks, which refuse paths outside an instance's scope, when scopes change; until cancelled.

        A scope changes with partitions or grants of paths (PART-5, PART-6).

        Raises:
            AegisError: A hook's file cannot be written, its worktree is gone, or the state cannot be read.
        """
        known: dict[str, Fence] = {}
        async for keys in self._log.changes():
            if keys and not any(kind in ("partition", "workspace") for kind, _ in keys):
                continue
            for fence in await self._log.read(_fences):
                name = fence.instance.agent_id
                before = known.get(name)
                known[name] = fence
                if fence.granted or (before and before.instance.partition != fence.instance.partition):
                    await self._parts.keeper.fence(fence.instance, fence.run, fence.scope, fence.granted)

    async def _watch_heads(self) -> None:
        """Predict conflicts between the branch heads of pieces that are not merged yet, and record them (GIT-2).

        Takes over the branches of instances every 1.5 s until cancelled; idle while no run is in the stage
        `monitoring`. With `WorkflowParts.live`, it predicts nothing.

        Raises:
            AegisError: git fails, or the log cannot be read or written.
        """
        seen: dict[str, str] = {}
        while True:
            await asyncio.sleep(HEADS_CHECK_S)
            run = await self._log.read(_monitored)
            if run is None:
                continue
            for instance in await self._log.read(lambda workspace: list(workspace.instances.alive())):
                if instance.worktree and instance.run == run.run:
                    await self._parts.keeper.take_over(instance)
            if self._parts.live is not None:
                continue
            heads = await self._parts.integrator.branch_heads(run)
            if heads == seen or len(heads) < 2:
                continue
            seen = heads
            overlaps = await self._parts.integrator.predict_commits(run, heads)
            if overlaps:
                command = ConflictsObserved(run=run.run, overlaps=tuple(overlaps))
                await self._log.submit(command, THE_HUB)


async def _forever(name: str, loop: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a loop until cancelled, and start it again 1 s after it ends or fails; a failure is logged.

    The loop reads its state from the log, so nothing is lost. One that fails as it is cancelled is not started again.
    """
    while True:
        try:
            await loop()
        except AegisError as error:
            _log.warning("a background task failed: %s: %s", name, error.message)
        except Exception:
            _log.exception("a background task failed unexpectedly", extra={"loop": name})
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            return
        await asyncio.sleep(1.0)


@dataclass(frozen=True, slots=True)
class Fence:
    """The present scope of one instance, which its commit hook enforces."""

    instance: Instance
    run: Run
    scope: dict[str, Any]
    granted: tuple[str, ...]


def _fences(workspace: Workspace) -> list[Fence]:
    run = workspace.runs.current()
    if run is None:
        return []
    copy = run.model_copy(deep=True)
    return [
        Fence(
            item.model_copy(),
            copy,
            scope_of(workspace, run, item),
            workspace.partitions.grants.get(item.agent_id, ()),
        )
        for item in workspace.instances.of_run(run.run)
        if item.is_alive and item.worktree and item.partition
    ]


def _has_instances(workspace: Workspace) -> bool:
    run = workspace.runs.current()
    return run is not None and any(item.phase is not Phase.RECLAIMED for item in workspace.instances.of_run(run.run))


def _has_connected(workspace: Workspace) -> bool:
    return any(is_connected(item) for item in workspace.instances.alive())


def _with_pane(workspace: Workspace) -> dict[str, Phase]:
    return {
        item.instance_id: item.phase
        for item in workspace.instances.alive()
        if item.pane is not None and item.phase in (Phase.LAUNCHED, Phase.JOINED)
    }


def _with_worktree(workspace: Workspace) -> list[tuple[str, Path]]:
    return [(item.instance_id, Path(item.worktree)) for item in workspace.instances.alive() if item.worktree]


def _monitored(workspace: Workspace) -> Run | None:
    run = workspace.runs.current()
    if run is None or not run.is_open or run.stage is not Stage.MONITORING:
        return None
    return run.model_copy(deep=True)
