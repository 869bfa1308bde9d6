"""What an instance gets about paths: its own, those of others, and the text that all instances of a run share."""

from __future__ import annotations

from typing import Any

from aegis_tui.domain.instance.model import Instance
from aegis_tui.domain.run.events import FOUNDATION
from aegis_tui.domain.run.model import Run
from aegis_tui.domain.scope.reservation import globs_of
from aegis_tui.domain.workspace import Workspace


def scope_of(workspace: Workspace, run: Run, instance: Instance) -> dict[str, Any]:
    """Return the content of an instance's scope file.

    Returns:
        `partition`: the instance's own globs. `shared`: globs that workers may only read. `joint`: globs that every
        worker may write under a lock; empty for an instance without a partition. `owners`: each glob of the run's other
        pieces -> the agent id of the piece's worker, else the piece's name; `foundation` for that piece.
    """
    owners: dict[str, str] = {}
    if run.design is not None:
        for piece in run.pieces.values():
            if piece.name != instance.piece:
                owner = FOUNDATION if piece.name == FOUNDATION else piece.agent_id or piece.name
                owners |= dict.fromkeys(globs_of(workspace, run, piece), owner)
    writes = bool(instance.partition)
    return {
        "partition": list(instance.partition),
        "shared": list(run.design.shared) if run.design else [],
        "joint": list(run.design.joint) if run.design and writes else [],
        "owners": owners,
    }


def shared_text(run: Run) -> str:
    """Return the text that the prompt of every instance of a run starts with, byte for byte the same (LLM-3)."""
    lines = [f"Goal: {run.goal}"]
    if run.design is not None:
        lines.append("Features of this run, each built by another instance at the same time:")
        lines += [f"- {item.id}: {item.title} (writes {', '.join(item.partition)})" for item in run.design.features]
        if run.design.shared:
            lines.append(f"Shared, read-only: {', '.join(run.design.shared)}")
        if run.design.joint:
            lines.append(f"Joint, under a lock: {', '.join(run.design.joint)}")
    return "\n".join(lines) + "\n"
