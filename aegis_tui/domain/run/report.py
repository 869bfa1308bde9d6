"""The report of a run, computed from the log alone and completed with git's facts about the commit (contract 4).

Everybody who has the events and the repository gets the same report; it uses no other data.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import cast

from aegis_tui.domain.event import Event
from aegis_tui.domain.instance.model import Instance
from aegis_tui.domain.lock.events import LockAcquired, LockDeadlock, LockDenied, LockExpired, LockQueued, LockWithdrawn
from aegis_tui.domain.merge.merged_file import MergedFile
from aegis_tui.domain.model import SCHEMA_VERSION
from aegis_tui.domain.piece.events import (
    PieceChecked,
    PieceHeld,
    PieceReopened,
    PieceStuck,
    PieceTested,
    RuleAllowed,
)
from aegis_tui.domain.piece.model import Piece, PieceConflict
from aegis_tui.domain.qa.check import QaCheck
from aegis_tui.domain.qa.events import QaFinished
from aegis_tui.domain.review.events import ReviewCompleted
from aegis_tui.domain.review.finding import Criterion, Finding
from aegis_tui.domain.run.boundary import boundary_of
from aegis_tui.domain.run.environment_report import environment_report
from aegis_tui.domain.run.events import (
    STAGES,
    GateBlocked,
    GatePassed,
    RunEnding,
    RunFinished,
    RunStarted,
    Stage,
    StageChanged,
)
from aegis_tui.domain.run.model import RULES_GATE, Run
from aegis_tui.domain.run.piece_report import PieceTally
from aegis_tui.domain.run.quality_report import QualityTally
from aegis_tui.domain.run.report_model import (
    CommitReport,
    CommitSeen,
    ConflictReport,
    CriterionReport,
    ErrorReport,
    FindingReport,
    GateReport,
    InstanceReport,
    LeftOutReport,
    LockReport,
    MergedFileReport,
    QaReport,
    Report,
    ReviewReport,
    StageReport,
)
from aegis_tui.domain.run.rule_report import RuleTally
from aegis_tui.domain.workspace import Workspace
from aegis_tui.errors import UsageError


@dataclass
class _StageTimes:
    entered: int = 0
    started_at: str | None = None
    since: str | None = None
    spent_s: float = 0.0
    gates: dict[str, GateReport] = field(default_factory=dict)


class _Tally:
    """Collects what a report needs besides the workspace state: times, gates, counts."""

    def __init__(self, run: str) -> None:
        self.run = run
        self.stages = {stage: _StageTimes() for stage in STAGES}
        self.stage: Stage | None = None
        self.started_at = ""
        self.ended_at = ""
        self.last_at = ""
        self.locks = LockReport(requested=0, granted=0, waited=0, failed=0, expired=0, deadlocks=0)
        self.requests: set[tuple[str, str]] = set()
        self.reviews: list[ReviewReport] = []
        self.qa: list[QaReport] = []
        self.rules, self.quality, self.pieces = RuleTally(), QualityTally(), PieceTally()

    @property
    def is_running(self) -> bool:
        return bool(self.started_at) and not self.ended_at

    def take(self, event: Event) -> None:
        data = event.data
        if isinstance(data, RunStarted) and data.run == self.run:
            self.started_at = event.timestamp
        if not self.is_running:
            return
        if isinstance(data, RunFinished) and data.run == self.run:
            self.ended_at = self.last_at
            return
        self.last_at = event.timestamp
        if event.type.startswith("lock:"):
            self._lock(event.agent_id, data)
        elif getattr(data, "run", None) == self.run:
            self._course(event.timestamp, data)

    def _course(self, at: str, data: object) -> None:
        match data:
            case StageChanged():
                self._leave(at)
                times = self.stages[data.stage]
                times.entered, times.since = times.entered + 1, at
                times.started_at = times.started_at or at
                self.stage = data.stage
            case GatePassed() | GateBlocked():
                passed = isinstance(data, GatePassed)
                gate = GateReport(name=data.gate, passed=passed, reason=data.reason)
                self.stages[data.stage].gates[data.gate] = gate
            case ReviewCompleted():
                self.reviews.append(
                    {
                        "reviewer": data.reviewer,
                        "piece": data.piece,
                        "lens": data.lens,
                        "verdict": data.status,
                        "criteria": [_criterion(item) for item in data.criteria],
                        "findings": [_finding(item) for item in data.findings],
                    }
                )
            case QaFinished():
                # A base that is accepted is judged again in the same round.
                self.qa = [item for item in self.qa if item["round"] != data.round]
                self.qa += [_check(data.round, item) for item in data.checks]
                self.quality.take(data)
            case PieceTested() | PieceReopened() | PieceStuck():
                self.pieces.take(data)
            case PieceChecked() | PieceHeld() | RuleAllowed():
                self.rules.take(data)
                self.quality.take(data)
                if isinstance(data, PieceHeld) and self.stage is not None:
                    gate = GateReport(name=RULES_GATE, passed=False, reason=f"{data.piece} waits for a person")
                    self.stages[self.stage].gates[RULES_GATE] = gate
            case RunEnding():
                self._leave(at)
            case _:
                return

    def _leave(self, at: str) -> None:
        if self.stage is not None and (since := self.stages[self.stage].since):
            self.stages[self.stage].spent_s += seconds_between(since, at)
            self.stages[self.stage].since = None

    def _lock(self, agent_id: str, data: object) -> None:
        count = self.locks
        match data:
            case LockAcquired() if data.review_blob is not None:
                pass  # on a blob: nobody can be in its way
            case LockAcquired():
                if (agent_id, data.request_id) not in self.requests:
                    self.requests.add((agent_id, data.request_id))
                    count["granted"] += 1
                    count["requested"] += not data.waited
            case LockQueued():
                count["requested"] += 1
                count["waited"] += 1
            case LockWithdrawn():
                count["failed"] += data.code != "CANCELLED"
            case LockDenied():
                count["requested"] += 1
                count["failed"] += 1
            case LockDeadlock():
                count["requested"] += 1
                count["failed"] += 1
                count["deadlocks"] += 1
            case LockExpired():
                count["expired"] += 1
            case _:
                return


def seconds_between(start: str, end: str) -> float:
    """Return the seconds from one RFC 3339 timestamp to another, rounded to milliseconds.

    Raises:
        ValueError: One of the two is no such timestamp.
    """
    return round((datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds(), 3)


def fold_report(events: Iterable[Event], run: str, *, commit: CommitSeen | None = None) -> Report:
    """Return the report of one run (contract 4); of an open run, the report so far.

    Args:
        events: The log from the run's first event or an earlier one, in order; events after its end are not read.
        run: The run's id.
        commit: Git's facts about the commit: {subject, files, trailers}; they replace those of the log.

    Raises:
        UsageError: The log has no such run.
    """
    fold = ReportFold(run)
    for event in events:
        if fold.take(event):
            break
    return fold.report(commit=commit)


class ReportFold:
    """Computes the report of one run event by event, for a caller that must not block for a whole log."""

    def __init__(self, run: str) -> None:
        self._run = run
        self._workspace, self._tally = Workspace(), _Tally(run)

    def take(self, event: Event) -> bool:
        """Add the next event of the log, starting with the run's first; return whether the run has ended.

        Events after its end are ignored.
        """
        if not self._tally.ended_at:
            self._workspace.evolve(event)
            self._tally.take(event)
        return bool(self._tally.ended_at)

    def report(self, *, commit: CommitSeen | None = None) -> Report:
        """Return the report so far; more events may be added afterwards.

        Args:
            commit: Git's facts about the commit: {subject, files, trailers}; they replace those of the log.

        Raises:
            UsageError: No event was about the run.
        """
        return _report(self._workspace, self._tally, self._run, commit=commit)


def _report(workspace: Workspace, tally: _Tally, run: str, *, commit: CommitSeen | None) -> Report:
    run_state = workspace.runs.by_id.get(run)
    if run_state is None:
        raise UsageError(f"there is no run {run}", "see aegis-tui status")
    end = tally.ended_at or tally.last_at
    report: Report = {
        "schema_version": SCHEMA_VERSION,
        "ok": run_state.ok is True,
        "run": run,
        "workspace": run_state.facts.workspace,
        "goal": run_state.goal,
        "duration_s": seconds_between(tally.started_at, end),
        "scripted": run_state.facts.scripted,
        "boundary": boundary_of(run_state),
        "stages": [_stage(run_state, stage, tally, end) for stage in STAGES],
        "instances": [_instance(workspace, item, end) for item in workspace.instances.of_run(run)],
        "locks": tally.locks.copy(),
        "conflicts": [_conflict(item) for item in run_state.conflicts.values()],
        "merged": [_merged(piece, file) for piece in run_state.kept_pieces() for file in piece.merged_files],
        "reviews": tally.reviews,
        "qa": tally.qa,
        "pieces": tally.pieces.report(run_state),
        "rules": tally.rules.report(),
        "quality": tally.quality.report(len(run_state.pieces)),
        "environment": environment_report(run_state),
        "commit": _commit(run_state, commit),
        "left_out": _left_out(workspace, run_state),
    }
    if run_state.error:
        report["error"] = cast(ErrorReport, run_state.error)
    return report


def _stage(run: Run, stage: Stage, tally: _Tally, end: str) -> StageReport:
    times = tally.stages[stage]
    spent = times.spent_s + (seconds_between(times.since, end) if times.since else 0.0)
    return {
        "name": str(stage),
        "state": _state(run, stage, times),
        "rounds": times.entered,
        "started_at": times.started_at,
        "duration_s": round(spent, 3),
        "gates": list(times.gates.values()),
    }


def _state(run: Run, stage: Stage, times: _StageTimes) -> str:
    if not times.entered:
        return "pending"
    if stage is run.stage:
        if run.ok is None:
            return "active"
        return "passed" if run.ok or run.commit else "failed"
    return "passed" if STAGES.index(stage) < STAGES.index(run.stage) else "reopened"


def _instance(workspace: Workspace, item: Instance, end: str) -> InstanceReport:
    until = item.ended_at or end
    return {
        "id": item.instance_id,
        "agent_id": item.agent_id,
        "role": item.role,
        "kind": item.kind,
        "feature": item.piece,
        "partition": list(item.partition),
        "worktree": item.worktree,
        "branch": item.branch,
        "pane": item.pane,
        "state": item.word,
        "started_at": item.started_at,
        "duration_s": seconds_between(item.started_at, until) if item.started_at else 0.0,
        "prompts": item.prompts,
        "tokens": {"prompt": item.tokens.prompt, "completion": item.tokens.completion, "cached": item.tokens.cached},
        "blocked_names": list(item.blocked_names),
        "scope_requests": workspace.scope_counts.get(item.agent_id, 0),
        "rescue_ref": item.rescue_ref,
        "advice": [{"failure": one.failure, "line": one.line, "reason": one.reason} for one in item.advice],
    }


def _conflict(item: PieceConflict) -> ConflictReport:
    return {
        "a": item.a,
        "b": item.b,
        "path": item.path,
        "kind": item.kind,
        "resolution": item.resolution or "none",
        "label": item.label,
        "strategy": item.strategy,
        "reason": item.reason,
        "predicted": item.predicted,
    }


def _merged(piece: Piece, file: MergedFile) -> MergedFileReport:
    return {
        "piece": piece.name,
        "path": file.path,
        "label": file.label,
        "strategy": file.strategy,
        "reason": file.reason,
    }


def _criterion(item: Criterion) -> CriterionReport:
    return cast(CriterionReport, item.model_dump(mode="json", by_alias=True))


def _finding(item: Finding) -> FindingReport:
    """Return a finding; what its reviewer has left out and earlier versions did not have is left out here too."""
    plain = item.model_dump(mode="json")
    unsaid = {name for name in ("end_line", "rule", "suggestion", "confidence") if plain[name] in (None, "")}
    return cast(FindingReport, {name: value for name, value in plain.items() if name not in unsaid})


def _check(round_number: int, item: QaCheck) -> QaReport:
    return cast(QaReport, {"round": round_number, **item.model_dump(mode="json", exclude={"output_tail"})})


def _left_out(workspace: Workspace, run: Run) -> list[LeftOutReport]:
    """Return the pieces that are left out, each with the ref that keeps its submission or else its worker's files."""
    left: list[LeftOutReport] = []
    for piece in run.pieces.values():
        if piece.left_out:
            tried = [item for name in piece.agents if (item := workspace.get_instance(name)) is not None]
            rescued = next((item.rescue_ref for item in reversed(tried) if item.rescue_ref), None)
            ref = f"refs/aegis/runs/{run.run}/{piece.name}" if piece.head_oid else rescued
            left.append({"piece": piece.name, "reason": piece.left_out, "ref": ref})
    return left


def _commit(run: Run, seen: CommitSeen | None) -> CommitReport | None:
    if run.commit is None:
        return None
    said = run.commit.model_dump(mode="json", include={"oid", "branch", "subject", "files", "trailers"})
    return cast(CommitReport, {**said, **(seen or {})})
