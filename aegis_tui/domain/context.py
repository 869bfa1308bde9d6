"""The shared context: what every client may see of a workspace (HUB-2, contract 6); no tokens, no hashes of tokens."""

from __future__ import annotations

from typing import Any

from aegis_tui.domain.ids import agent_type
from aegis_tui.domain.instance.model import Instance
from aegis_tui.domain.lock.rules import lock_to_wire
from aegis_tui.domain.run.boundary import boundary_of
from aegis_tui.domain.run.model import Run, RunStatus
from aegis_tui.domain.run.stage import gates_of
from aegis_tui.domain.workspace import Workspace


def snapshot_view(workspace: Workspace, *, key: str = "", now: float | None = None) -> dict[str, Any]:
    """Return the snapshot of contract 6, with instances, the newest run, exchanges and open scope requests added.

    Its `run` is the open run, else the newest one that has ended; None if there was none.

    Args:
        workspace: State after the last logged event.
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
        "specs": {name: spec.model_dump(mode="json") for name, spec in workspace.specs.by_id.items()},
        "progress": progress(workspace, run),
        "instances": [
            {**instance_view(item), "scope_requests": workspace.scope_counts.get(item.agent_id, 0)}
            for item in workspace.instances.by_id.values()
        ],
        "run": run_view(workspace, run) if run else None,
        "exchanges": workspace.exchanges.dump(),
        "scope_requests": [
            {"request": name, "by": workspace.scope_askers[name], "path": asked.path, "reason": asked.reason}
            for name, asked in workspace.scope_requests.items()
        ],
    }


def mirror_view(workspace: Workspace) -> dict[str, Any]:
    """Return the whole state as JSON values without token hashes; a mirror applies the events after its `seq`."""
    plain = workspace.dump()
    for instance in plain["instances"]["instances"]:
        instance["token_hash"] = None
    return plain


def instance_view(instance: Instance) -> dict[str, Any]:
    """Return one instance as clients get it: JSON values, no token hash, and its state in one word as `word`."""
    return {**instance.model_dump(mode="json", exclude={"token_hash"}), "word": instance.word}


def _task(workspace: Workspace, run: Run | None) -> dict[str, Any]:
    if run is None:
        return {"id": None, "status": "COMPLETED", "mode": "SINGLE", "agents": []}
    status = {RunStatus.ENDING: "ACTIVE"}.get(run.status, str(run.status))
    agents = [item.agent_id for item in workspace.instances.of_run(run.run)]
    return {"id": run.run, "status": status, "mode": "GCC", "agents": agents}


def _locks(workspace: Workspace, now: float | None) -> dict[str, dict[str, Any]]:
    by_name = {}
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


def progress(workspace: Workspace, run: Run | None) -> dict[str, Any]:
    """Return `total`, the number of pieces, `completed`, how many are merged, and their `percentage`; 0 if no run."""
    pieces = list(run.pieces.values()) if run else []
    done = sum(piece.status == "applied" for piece in pieces)
    return {
        "total": len(pieces),
        "completed": done,
        "percentage": round(100 * done / len(pieces)) if pieces else 0,
    }


def run_view(workspace: Workspace, run: Run) -> dict[str, Any]:
    """Return one run as JSON values in the form that clients get: stage, gates, pieces, reviews, conflicts and more.

    Once it is no longer open, it has no gates and no QA of its base.
    """
    gates = gates_of(workspace, run) if run.is_open else []
    return {
        "run": run.run,
        "goal": run.goal,
        "status": str(run.status),
        "stage": str(run.stage),
        "round": run.round,
        "ok": run.ok,
        "error": run.error,
        "design_id": run.design_id,
        "agreed": run.design is not None,
        "design": design.model_dump(mode="json") if (design := run.design or run.proposed) else None,
        "gates": [gate._asdict() for gate in gates],
        "pieces": [piece.model_dump(mode="json", exclude={"feedback"}) for piece in run.pieces.values()],
        "reviews": [
            review.model_dump(mode="json", exclude={"criteria", "findings"}) for review in run.reviews.values()
        ],
        "conflicts": [conflict.model_dump(mode="json") for conflict in run.conflicts.values()],
        "qa": run.qa.model_dump(mode="json", exclude={"type"}) if run.qa else None,
        "base_qa": run.base_qa.model_dump(mode="json", exclude={"type"}) if run.base_qa and run.is_open else None,
        "commit": run.commit.model_dump(mode="json", exclude={"type"}) if run.commit else None,
        "boundary": boundary_of(run),
        "options": run.options.model_dump(mode="json"),
        "facts": run.facts.model_dump(mode="json"),
    }
