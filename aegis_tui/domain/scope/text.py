"""What an instance gets about paths: its own, those of others, and the text that all instances of a run share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aegis_tui.domain.instance.model import Instance
from aegis_tui.domain.run.design import Design
from aegis_tui.domain.run.events import FOUNDATION
from aegis_tui.domain.run.model import Run
from aegis_tui.domain.scope.reservation import designed_globs, globs_of
from aegis_tui.domain.workspace import Workspace


def scope_of(workspace: Workspace, run: Run, instance: Instance) -> dict[str, Any]:
    """Return the content of an instance's scope file.

    Returns:
        `partition`: the instance's own globs. `shared`: globs that workers may only read. `joint`: globs that every
        worker may write under a lock; empty for an instance without a partition. `owners`: each glob of the run's other
        pieces -> the agent id of the piece's worker, else the piece's name; `foundation` for that piece. `moved`: other
        piece -> its globs, if they are no longer those of the design.
    """
    owners: dict[str, str] = {}
    moved: dict[str, list[str]] = {}
    if run.design is not None:
        designed = designed_globs(run.design)
        for piece in run.pieces.values():
            if piece.name != instance.piece:
                owner = FOUNDATION if piece.name == FOUNDATION else piece.agent_id or piece.name
                globs = globs_of(workspace, run, piece)
                owners |= dict.fromkeys(globs, owner)
                if set(globs) != set(designed.get(piece.name, ())):
                    moved[piece.name] = sorted(globs)
    writes = bool(instance.partition)
    return {
        "partition": list(instance.partition),
        "shared": list(run.design.shared) if run.design else [],
        "joint": list(run.design.joint) if run.design and writes else [],
        "owners": owners,
        "moved": moved,
    }


def shared_text(run: Run) -> str:
    """Return the text that the prompt of every instance of a run starts with, byte for byte the same (LLM-3).

    It holds the goal, who may write what by the design if there is one yet, and the rules for all. A later change of a
    partition does not change it.
    """
    parts = ["# The run", f"Goal: {run.goal}"]
    if run.design is not None:
        parts.append(_overview(run.design))
    return "\n\n".join([*parts, _RULES]) + "\n"


_RULES = """Rules for all:
- Write only inside your partition, and nothing if you have none; everything else is read-only for you.
- Do not push, do not touch other branches or the stash."""


def _overview(design: Design) -> str:
    lines = ["Pieces of work, each built by one instance, which alone may write the paths in brackets:"]
    if design.foundation:
        lines.append(f"- {FOUNDATION}, which is built first ({_globs(design.foundation.partition)})")
    lines += [f"- {item.id}: {item.title} ({_globs(item.partition)})" for item in design.features]
    if design.shared:
        lines.append(f"Shared, read-only for all: {_globs(design.shared)}.")
    if design.joint:
        lines.append(
            f"Joint: {_globs(design.joint)}. Everybody with a partition may change these too, one at a time, under a "
            "lock. If another instance holds it, do something else and try again. Keep such changes small."
        )
    return "\n".join(lines)


def _globs(globs: Sequence[str]) -> str:
    return ", ".join(globs) or "nothing"
