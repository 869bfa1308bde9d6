"""The reconciler: reads the state, carries out the effects it requires, and records each with a command (design 1).

All its state can be derived from the log. An effect that fails is tried again with growing pauses; one that fails for
good ends what depends on it, with the reason, so that nothing waits forever.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any, TypeVar

from aegis_tui.domain.cause import Cause, one_line
from aegis_tui.domain.command import AnyCommand
from aegis_tui.domain.decision import THE_HUB
from aegis_tui.domain.effect import (
    CheckComposition,
    CommitRun,
    ComposePiece,
    Effect,
    FindCulprits,
    FinishRun,
    InspectPiece,
    LaunchInstance,
    PrepareInstance,
    PrepareRun,
    RebuildComposition,
    ReclaimInstance,
    RunPieceChecks,
    RunQa,
    StopInstance,
    needed,
)
from aegis_tui.domain.event import Event
from aegis_tui.domain.instance.commands import (
    InstanceMarkExited,
    InstanceMarkLaunched,
    InstanceMarkPrepared,
    InstanceMarkReclaimed,
)
from aegis_tui.domain.instance.model import Instance
from aegis_tui.domain.lock.fence import PieceFences
from aegis_tui.domain.lock.fencing import piece_fences
from aegis_tui.domain.piece.commands import MergeMarkApplied, MergeMarkRejected
from aegis_tui.domain.piece.model import Piece
from aegis_tui.domain.qa import commands
from aegis_tui.domain.qa.check import QaCheck
from aegis_tui.domain.run.commands import CompositionMarkChecked, RunMarkCommitted, RunMarkFinished, RunMarkPrepared
from aegis_tui.domain.run.events import Stage
from aegis_tui.domain.run.model import Run, RunStatus
from aegis_tui.domain.run.report import ReportFold
from aegis_tui.domain.run.report_model import CommitSeen
from aegis_tui.domain.scope.text import scope_of, shared_text
from aegis_tui.domain.workspace import Workspace
from aegis_tui.errors import AegisError
from aegis_tui.orchestrator.advice import Advisor
from aegis_tui.orchestrator.environment import EnvironmentMaker
from aegis_tui.orchestrator.giving_up import cause_of_failure, given_up_command
from aegis_tui.orchestrator.inspection import Inspection, run_and_partitions
from aegis_tui.orchestrator.instances import InstanceKeeper
from aegis_tui.orchestrator.integrate import Integrator
from aegis_tui.orchestrator.piece_qa import PieceQa
from aegis_tui.orchestrator.qa import Quality
from aegis_tui.orchestrator.recompose import Recomposer
from aegis_tui.orchestrator.result_hooks import ResultHooks
from aegis_tui.orchestrator.rule_check import RuleCheck
from aegis_tui.orchestrator.surroundings import PartitionSurroundings
from aegis_tui.orchestrator.turns import Turns, look
from aegis_tui.ports.command_port import CommandPort
from aegis_tui.sdk.backoff import grown_pause_s

T = TypeVar("T")

_log = logging.getLogger(__name__)

TRIES = 4
"""How often an effect is tried before it is given up."""

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 60.0
TICK_S = 1.0
MAKING_S = 10.0
"""How long a reconciler that is stopped waits for worktrees that are being created."""

_WORK = (Stage.FOUNDATION, Stage.MONITORING, Stage.INTEGRATE)

ReadEvents = Callable[[int], AsyncIterator[Event]]
"""Yields the events of the log after that number, page by page, so that other tasks can run in between."""

DescribeCommit = Callable[[str], Awaitable[CommitSeen]]
"""Takes a commit; returns its subject, files and trailers as git reports them."""


class Reconciler:
    """Carries out the effects that the state requires.

    Args:
        port: The hub's command port.
        keeper: Sets instances up and removes them.
        integrator: Compares, merges and commits pieces.
        recomposer: Takes pieces out of the merged tree.
        quality: Runs QA.
        rules: Applies the merge rules to pieces.
        piece_qa: Runs the checks of pieces, each merged with the working ref.
        read_events: Reads the log, for the report.
        describe_commit: Describes the result's commit, for the report.
        before_launch: Called before a pane is opened, because the gateway must know the instance by then.
        when_idle: Called when a run is finished and no instance is left.
        environments: Runs the set-up command; None where there is none.
        advisor: Keeps the memory of failures; None where there is none.
        hooks: Runs the person's commit hooks on the result; None where they are not run.
        surroundings: Describes the code around partitions; None where nothing does.
    """

    def __init__(
        self,
        *,
        port: CommandPort,
        keeper: InstanceKeeper,
        integrator: Integrator,
        recomposer: Recomposer,
        quality: Quality,
        rules: RuleCheck,
        piece_qa: PieceQa,
        read_events: ReadEvents,
        describe_commit: DescribeCommit,
        before_launch: Callable[[], Awaitable[None]],
        when_idle: Callable[[], Awaitable[None]],
        environments: EnvironmentMaker | None = None,
        advisor: Advisor | None = None,
        hooks: ResultHooks | None = None,
        surroundings: PartitionSurroundings | None = None,
    ) -> None:
        self._environments, self._advisor, self._hooks = environments, advisor, hooks
        self._surroundings = surroundings
        self._port, self._keeper, self._integrator, self._quality = port, keeper, integrator, quality
        self._inspection, self._recomposer = Inspection(keeper, integrator, rules), recomposer
        self._piece_qa = piece_qa
        self._read_events, self._describe_commit = read_events, describe_commit
        self._before_launch, self._when_idle = before_launch, when_idle
        self._running: dict[Effect, asyncio.Task[None]] = {}
        self._turns = Turns()
        self._tries: dict[Effect, int] = {}
        self._wake = asyncio.Event()
        self._do = self._actions()

    def _actions(self) -> dict[type[Any], Callable[[Any], Awaitable[AnyCommand | None]]]:
        return {
            PrepareRun: self._prepare_run,
            PrepareInstance: self._prepare_instance,
            LaunchInstance: self._launch,
            StopInstance: self._stop_instance,
            ReclaimInstance: self._reclaim,
            InspectPiece: self._inspect,
            RunPieceChecks: self._test_piece,
            ComposePiece: self._compose,
            CheckComposition: self._check,
            RebuildComposition: self._rebuild,
            FindCulprits: self._find_culprits,
            RunQa: self._qa,
            CommitRun: self._commit,
            FinishRun: self._finish,
        }

    async def run(self) -> None:
        """Carry out the effects (steps that the state requires) until cancelled; then cancel those under way.

        Each is recorded with a command; one that fails is tried again with growing pauses, and after four tries given
        up (see `given_up_command`). Worktrees that are being created get at most ten seconds to finish first.

        Raises:
            StoreError: The state cannot be read.
        """
        watching = asyncio.create_task(self._watch())
        try:
            while True:
                self._wake.clear()
                wanted, unjoined, is_judged = await self._port.read(look)
                for effect, task in self._running.items():
                    if isinstance(effect, RunPieceChecks) and effect not in wanted and not task.cancelling():
                        task.cancel()  # the piece is to change, or what it is merged with has
                for effect in self._turns.choose(wanted, self._running, unjoined, is_judged=is_judged):
                    self._running[effect] = asyncio.create_task(self._perform(effect))
                if run := await self._port.read(self._whose_base_is_wanted):
                    self._quality.look_ahead(run, partial(self._tell_base, run))
                try:
                    async with asyncio.timeout(TICK_S):
                        await self._wake.wait()
                except TimeoutError:
                    continue
        finally:
            # Let the creation of a worktree finish: it is removed again by its effect if it is not needed any more.
            making = [task for effect, task in self._running.items() if isinstance(effect, PrepareInstance)]
            if making:
                await asyncio.wait(making, timeout=MAKING_S)
            tasks = [watching, *self._running.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._quality.leave()

    def _whose_base_is_wanted(self, workspace: Workspace) -> Run | None:
        """Return a copy of the current run if QA of its base commit should start now; else None.

        It should while the run is active and its pieces are being built or merged, but not while something is done that
        others wait for, which QA would delay, nor if `look_ahead` was called for the run.
        """
        run = workspace.runs.current()
        if run is None or run.status is not RunStatus.ACTIVE or run.stage not in _WORK or self._turns.is_busy:
            return None
        return None if self._quality.has_looked_ahead(run.run) else run.model_copy(deep=True)

    async def _tell_base(self, run: Run, checks: tuple[QaCheck, ...]) -> None:
        command = commands.QaMarkBaseChecked(run=run.run, oid=run.facts.base_oid, checks=checks)
        await self._port.submit(command, THE_HUB)

    async def _watch(self) -> None:
        async for _ in self._port.changes():
            self._wake.set()

    async def _perform(self, effect: Effect) -> None:
        try:
            if command := await self._do[type(effect)](effect):
                await self._port.submit(command, THE_HUB)
            self._tries.pop(effect, None)
        except AegisError as error:
            await self._after_failure(effect, cause_of_failure(error))
        except Exception as error:
            _log.exception("effect failed unexpectedly", extra={"effect": repr(effect)})
            await self._after_failure(effect, cause_of_failure(error))
        finally:
            self._running.pop(effect, None)
            self._wake.set()

    async def _after_failure(self, effect: Effect, cause: Cause) -> None:
        tries = self._tries[effect] = TRIES if cause.is_certain else self._tries.get(effect, 0) + 1
        extra = {"effect": repr(effect), "tries": tries, "reason": cause.message, "code": cause.code}
        _log.warning("effect failed: %s", cause.message, extra=extra)
        if tries < TRIES:
            await asyncio.sleep(grown_pause_s(tries - 1, FIRST_PAUSE_S, LONGEST_PAUSE_S, is_varied=False))
            return
        if command := given_up_command(effect, cause):
            try:
                await self._port.submit(command, THE_HUB)
                self._tries.pop(effect, None)
                return
            except AegisError as error:  # e.g. a full disk: the effect is tried, and given up, again later
                _log.warning("a failure could not be logged: %s", error.message)
        await asyncio.sleep(grown_pause_s(tries, FIRST_PAUSE_S, LONGEST_PAUSE_S, is_varied=False))

    async def _instance(self, agent_id: str) -> Instance:
        return await self._port.read(lambda workspace: workspace.instances.by_id[agent_id].model_copy())

    async def _run(self, name: str) -> Run:
        return await self._port.read(lambda workspace: workspace.runs.by_id[name].model_copy(deep=True))

    async def _piece(self, run: str, name: str) -> tuple[Run, Piece, PieceFences]:
        def view(workspace: Workspace) -> tuple[Run, Piece, PieceFences]:
            run_copy = workspace.runs.by_id[run].model_copy(deep=True)
            return run_copy, run_copy.pieces[name], piece_fences(workspace, run_copy, run_copy.pieces[name])

        return await self._port.read(view)

    async def _prepare_run(self, effect: PrepareRun) -> AnyCommand:
        run = await self._run(effect.run)
        if self._surroundings is not None:
            self._surroundings.begin(run)
        await self._integrator.prepare_run(run)
        await self._quality.begin(run)
        made = await self._environments.make(run) if self._environments else None
        return RunMarkPrepared(run=effect.run, environment=made)

    async def _prepare_instance(self, effect: PrepareInstance) -> None:
        """Create what the instance needs and record it; remove it again if the instance was stopped in the meantime.

        No other effect would remove it then, because the state does not record the worktree.

        Raises:
            AegisError: git or the sandbox fails, a setting is wrong, or the core refuses the record.
            OSError: A file of the instance cannot be written.
        """
        instance = await self._instance(effect.agent_id)
        run = await self._run(instance.run or "")
        scope = await self._port.read(lambda workspace: scope_of(workspace, run, instance))
        prepared = await self._keeper.prepare(instance, run, scope, shared_text(run))
        command = InstanceMarkPrepared(
            agent_id=effect.agent_id,
            worktree=str(prepared.worktree),
            token_hash=prepared.token_hash,
            advice=await self._advisor.advise(run, instance) if self._advisor else (),
            around=await self._surroundings.text_for(run, instance) if self._surroundings else "",
        )
        await self._port.submit(command, THE_HUB)
        now = await self._instance(effect.agent_id)
        if now.worktree is None:
            made = now.model_copy(update={"worktree": str(prepared.worktree)})
            await self._keeper.reclaim(made, saved_tree=None)

    async def _launch(self, effect: LaunchInstance) -> AnyCommand:
        instance = await self._instance(effect.agent_id)
        await self._before_launch()
        pane, pid = await self._keeper.launch(instance)
        return InstanceMarkLaunched(agent_id=effect.agent_id, pane=pane, pid=pid)

    async def _stop_instance(self, effect: StopInstance) -> AnyCommand:
        instance = await self._instance(effect.agent_id)
        await self._keeper.stop(instance)
        return InstanceMarkExited(agent_id=effect.agent_id, reason="stopped")

    async def _reclaim(self, effect: ReclaimInstance) -> AnyCommand:
        instance = await self._instance(effect.agent_id)
        ref = await self._keeper.reclaim(instance, saved_tree=None)
        return InstanceMarkReclaimed(agent_id=effect.agent_id, rescue_ref=ref)

    async def _inspect(self, effect: InspectPiece) -> AnyCommand:
        run, piece, fences = await self._piece(effect.run, effect.piece)
        author = await self._port.read(lambda workspace: workspace.instances.find(piece.agent_id or ""))
        return await self._inspection.inspect(run, piece, effect.head_oid, fences, author=author)

    async def _test_piece(self, effect: RunPieceChecks) -> AnyCommand:
        run, table = await self._port.read(lambda workspace: run_and_partitions(workspace, effect.run))
        piece = run.pieces[effect.piece]
        return await self._piece_qa.test(run, piece, effect.head_oid, onto=effect.onto, table=table)

    async def _compose(self, effect: ComposePiece) -> AnyCommand:
        run, piece, fences = await self._piece(effect.run, effect.piece)
        place = {"run": effect.run, "piece": effect.piece, "head_oid": effect.head_oid}
        stale = await self._integrator.stale(run, effect.head_oid, fences)
        if stale := stale or await self._integrator.beyond(run, piece, effect.head_oid):
            return MergeMarkRejected(**place, overlaps=(), stale=tuple(stale))
        oid, conflicts, merged = await self._integrator.compose(run, piece, effect.head_oid)
        if oid is None:
            return MergeMarkRejected(**place, overlaps=tuple(conflicts))
        alive = await self._port.read(lambda workspace: list(workspace.instances.alive()))
        await asyncio.gather(*(self._keeper.show_working_ref(instance, oid) for instance in alive))
        return MergeMarkApplied(**place, oid=oid, kept=tuple(fences.overtaken), merged=merged)

    async def _check(self, effect: CheckComposition) -> AnyCommand:
        checked = await self._integrator.check_composition(await self._run(effect.run), effect.oid)
        return CompositionMarkChecked(run=effect.run, oid=effect.oid, **checked)

    async def _rebuild(self, effect: RebuildComposition) -> AnyCommand:
        return await self._recomposer.rebuild(await self._run(effect.run))

    async def _find_culprits(self, effect: FindCulprits) -> AnyCommand | None:
        async def is_wanted() -> bool:
            return await self._port.read(lambda workspace: effect in needed(workspace))

        return await self._recomposer.find_culprits(await self._run(effect.run), is_wanted)

    async def _qa(self, effect: RunQa) -> AnyCommand:
        run, table = await self._port.read(lambda workspace: run_and_partitions(workspace, effect.run))
        judged = await self._quality.judge(run, effect.oid, table)
        if self._hooks is not None:
            mine = await self._port.read(lambda workspace: [*workspace.instances.of_run(effect.run)])
            judged = await self._hooks.judge(run, effect.oid, judged, table=table, instances=mine)
        return commands.QaMarkFinished.model_validate(
            {"run": effect.run, "round": effect.round, "oid": effect.oid, **judged}
        )

    async def _commit(self, effect: CommitRun) -> AnyCommand:
        run = await self._run(effect.run)
        mine = await self._port.read(lambda workspace: [*workspace.instances.of_run(effect.run)])
        return RunMarkCommitted(run=effect.run, **await self._integrator.commit(run, mine))

    async def _finish(self, effect: FinishRun) -> AnyCommand:
        """Clean up after a run and return the command that records its end, with the report.

        A step of the clean-up that fails raises its error, so that the effect is tried again. In the last try, the
        report names the step under `problems` instead. `StoreError` if the log cannot be read, in every try.
        """
        run = await self._run(effect.run)
        await self._quality.leave(effect.run)
        if self._advisor is not None:
            await self._advisor.catch_up(run)
        problems: list[str] = []
        is_last = self._tries.get(effect, 0) >= TRIES - 1
        await self._tolerate(self._integrator.put_away(run), "the run's branches are not cleaned up", problems, is_last)
        seen: CommitSeen | None = None
        if run.commit:
            said = self._describe_commit(run.commit.oid)
            seen = await self._tolerate(said, "git does not describe the commit", problems, is_last)
        fold = ReportFold(effect.run)
        async for event in self._read_events(run.started_seq - 1):
            if fold.take(event):
                break
        await self._tolerate(self._when_idle(), "the terminal server is still there", problems, is_last)
        report = fold.report(commit=seen)
        return RunMarkFinished(run=effect.run, report={**report, **({"problems": problems} if problems else {})})

    async def _tolerate(self, step: Awaitable[T], words: str, problems: list[str], is_last: bool) -> T | None:
        try:
            return await step
        except Exception as error:
            if not is_last:
                raise
            problems.append(f"{words}: {one_line(cause_of_failure(error).message)}")
            return None
