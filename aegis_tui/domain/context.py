"""The shared context: what every client may see of a workspace (HUB-2, contract 6); no tokens, no hashes of tokens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal, cast

from aegis_tui.domain.ids import agent_type
from aegis_tui.domain.instance.model import Instance
from aegis_tui.domain.lock.rules import lock_to_wire
from aegis_tui.domain.model import json_of
from aegis_tui.domain.run.boundary import boundary_of
from aegis_tui.domain.run.model import Run, RunStatus
from aegis_tui.domain.run.report_model import ErrorReport
from aegis_tui.domain.run.stage import gates_of
from aegis_tui.domain.wire.context import ExchangeFields, SharedContext, SpecFields
from aegis_tui.domain.wire.environment import PreparedFields
from aegis_tui.domain.wire.instance import InstanceFields
from aegis_tui.domain.wire.lock import HeldLock
from aegis_tui.domain.wire.piece import ConflictFields, PieceFields, ReviewFields
from aegis_tui.domain.wire.qa import BaseQaFields, QaFields
from aegis_tui.domain.wire.run import (
    CommitFields,
    DesignFields,
    FactsFields,
    GateView,
    MergeProgress,
    OptionsFields,
    RunView,
    Task,
)
from aegis_tui.domain.workspace import Workspace


def snapshot_view(workspace: Workspace, *, key: str = "", now: float | None = None) -> SharedContext:
    """Return the shared context as JSON values: task, joined agents, locks, recent changes, specs, progress and more.

    It holds partitions, all instances, the run, exchanges of messages and open scope requests too, but no tokens and no
    hashes of them. Its `run` is the open run, else the newest one that has ended; None if there was none.

    Args:
        workspace: State after the last logged event; not changed.
        key: The workspace key.
        now: The hub's clock in seconds; if given, each lock gets `expires_in_s`.
    """
    run = workspace.runs.current() or workspace.runs.latest()
    alive = [item for item in workspace.instances.by_id.values() if item.session and item.is_alive]
    return {
        "workspace": key,
        "seq": workspace.seq,
        "task": _task(workspace, run),
        "active_agents": [
            {
                "agent_id": item.agent_id,
                "agent_type": agent_type(item.kind),
                "partition": list(item.partition),
                "connected_at": item.started_at,
            }
            for item in alive
        ],
        "locks": _locks(workspace, now),
        "recent_changes": list(workspace.messages.recent),
        "partitions": {name: list(globs) for name, globs in workspace.partitions.partitions.items()},
        "shared": list(workspace.partitions.shared),
        "joint": list(workspace.partitions.joint),
        "specs": {name: json_of(spec, SpecFields) for name, spec in workspace.specs.by_id.items()},
        "progress": progress(workspace, run),
        "instances": [
            {**instance_view(item), "scope_requests": workspace.scope_counts.get(item.agent_id, 0)}
            for item in workspace.instances.by_id.values()
        ],
        "run": run_view(workspace, run) if run else None,
        "exchanges": [json_of(item, ExchangeFields) for item in workspace.exchanges.by_feature.values()],
        "scope_requests": [
            {"request": name, "by": workspace.scope_askers[name], "path": asked.path, "reason": asked.reason}
            for name, asked in workspace.scope_requests.items()
        ],
    }


def mirror_view(workspace: Workspace) -> dict[str, Any]:
    """Return the whole state as JSON values, with None for each token hash.

    A client can load it and apply the events after its `seq` to follow the state.
    """
    plain = workspace.dump()
    for instance in plain["instances"]["instances"]:
        instance["token_hash"] = None
    return plain


def instance_view(instance: Instance) -> InstanceFields:
    """Return one instance as clients get it: its fields as JSON values, without the token hash and `around`.

    Its state in one word is added as `word`.
    """
    plain: dict[str, Any] = instance.model_dump(mode="json", exclude={"token_hash", "around"})
    return cast(InstanceFields, {**plain, "word": instance.word})


_TASK_STATUS: Mapping[RunStatus, Literal["ACTIVE", "HALTED", "COMPLETED"]] = {
    RunStatus.ACTIVE: "ACTIVE",
    RunStatus.HALTED: "HALTED",
    RunStatus.ENDING: "ACTIVE",
    RunStatus.COMPLETED: "COMPLETED",
}


def _task(workspace: Workspace, run: Run | None) -> Task:
    if run is None:
        return {"id": None, "status": "COMPLETED", "mode": "SINGLE", "agents": []}
    status = _TASK_STATUS[run.status]
    agents = [item.agent_id for item in workspace.instances.of_run(run.run)]
    return {"id": run.run, "status": status, "mode": run.options.mode, "agents": agents}


def _locks(workspace: Workspace, now: float | None) -> dict[str, HeldLock]:
    by_name: dict[str, HeldLock] = {}
    for lock in workspace.locks.locks():
        plain = lock_to_wire(lock)
        if now is not None:
            plain["expires_in_s"] = round(workspace.deadlines.remaining_s("lock", lock.lock_id, now), 3)
        region = plain["region"]
        name = f"{lock.resource.path}:{region}" if region else lock.resource.path
        if name in by_name:
            name = f"{name}#{lock.token}"
        by_name[name] = {**plain, "ttl_seconds": lock.ttl_s, "acquired_at": workspace.acquired_at.get(lock.lock_id)}
    return by_name


def progress(workspace: Workspace, run: Run | None) -> MergeProgress:
    """Return the number of a run's pieces (`total`), of the merged ones (`completed`), and their `percentage`.

    All are 0 without a run or without pieces; the percentage is a whole number.
    """
    pieces = list(run.pieces.values()) if run else []
    done = sum(piece.status == "applied" for piece in pieces)
    return {
        "total": len(pieces),
        "completed": done,
        "percentage": round(100 * done / len(pieces)) if pieces else 0,
    }


_REVIEW_ONLY: Final = frozenset({"criteria", "findings", "blobs"})


def run_view(workspace: Workspace, run: Run) -> RunView:
    """Return one run as JSON values: status, stage, gates, pieces, reviews, conflicts, QA, commit, options and more.

    Feedback, traces and contents of pieces, and criteria, findings and blobs of reviews are left out. Once the run is
    no longer open, its `gates` are empty and its `base_qa` is None.
    """
    gates = gates_of(workspace, run) if run.is_open else []
    return {
        "run": run.run,
        "goal": run.goal,
        "status": str(run.status),
        "stage": str(run.stage),
        "round": run.round,
        "ok": run.ok,
        "error": cast("ErrorReport | None", run.error),
        "design_id": run.design_id,
        "agreed": run.design is not None,
        "design": json_of(design, DesignFields) if (design := run.design or run.proposed) else None,
        "gates": [GateView(name=name, passed=ok, reason=reason, command=way) for name, ok, reason, way in gates],
        "pieces": [
            json_of(piece, PieceFields, without={"feedback", "traces", "contents"}) for piece in run.pieces.values()
        ],
        "reviews": [json_of(review, ReviewFields, without=_REVIEW_ONLY) for review in run.reviews.values()],
        "conflicts": [json_of(conflict, ConflictFields) for conflict in run.conflicts.values()],
        "qa": json_of(run.qa, QaFields, without={"type"}) if run.qa else None,
        "base_qa": json_of(run.base_qa, BaseQaFields, without={"type"}) if run.base_qa and run.is_open else None,
        "commit": json_of(run.commit, CommitFields, without={"type"}) if run.commit else None,
        "partial": run.may_be_partial,
        "boundary": boundary_of(run),
        "options": json_of(run.options, OptionsFields),
        "facts": json_of(run.facts, FactsFields),
        "environment": json_of(run.environment, PreparedFields) if run.environment else None,
    }
