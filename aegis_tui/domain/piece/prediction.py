"""Which predicted conflicts between pieces are new, have changed, or are gone (GIT-2)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from aegis_tui.domain.ids import HUB
from aegis_tui.domain.lock.model import Draft
from aegis_tui.domain.message.events import MessageSent
from aegis_tui.domain.piece.events import ConflictDetected, ConflictResolved, Overlapping, Resolution
from aegis_tui.domain.piece.model import PieceConflict, PieceStatus
from aegis_tui.domain.run import brief
from aegis_tui.domain.run.model import Run
from aegis_tui.domain.workspace import Workspace

Pair = tuple[str, str]
"""The names of two pieces that were compared; `MERGED` as the first stands for all that is merged."""

MERGED: Final = ""
INTEGRATION: Final = "integration"
"""Named instead of a piece in a conflict with merged work if no merged piece is known to have changed the file."""

_COMPARED: Final = ("kind", "hunks", "text", "ours", "theirs", "label", "strategy")

UNMERGED: Final = frozenset({PieceStatus.WORKING, PieceStatus.SUBMITTED, PieceStatus.REVIEWING, PieceStatus.ACCEPTED})


def conflict_id(item: Overlapping) -> str:
    """Return the id of a conflict, `PIECE~PIECE:PATH`; the same whichever of the pieces is `a`."""
    first, second = sorted((item.a, item.b))
    return f"{first}~{second}:{item.path}"


def observed(run: Run, overlaps: Sequence[Overlapping]) -> list[Draft]:
    """Return an event for each overlap of two pieces (one path that both change) that is not known yet.

    Empty if all are.

    An overlap that conflicts now (`hot`), but only touched the same file before or was resolved, is new; one that was
    resolved and only touches the same file now is not.
    """
    drafts: list[Draft] = []
    for item in {conflict_id(overlap): overlap for overlap in overlaps}.values():
        known = run.conflicts.get(conflict_id(item))
        if known is not None and (known.kind == item.kind or known.kind == "hot") and known.resolution is None:
            continue
        if known is not None and known.resolution is not None and item.kind == "soft":
            continue
        drafts.append(_detected(run, item))
    return drafts


def predicted(workspace: Workspace, run: Run, overlaps: Iterable[Overlapping], compared: Iterable[Pair]) -> list[Draft]:
    """Return the events after the present content of pieces was compared, uncommitted work included.

    An overlap is recorded if it is new or differs from the record, and the workers are told once of one that conflicts.
    A recorded one that is gone is resolved: as `rebased` if the other side is merged, else as `none`. An overlap of two
    pieces that are merged by now, or of which one was left out, is ignored: the comparison came too late.

    Args:
        workspace: The state after the last logged event.
        run: The run.
        overlaps: All paths that the compared pairs both change.
        compared: The pairs that were compared.
    """
    drafts: list[Draft] = []
    now = {conflict_id(item): item for item in overlaps if _is_current(run, item)}
    for name, item in now.items():
        known = run.conflicts.get(name)
        if known is not None and known.resolution is None and _is_same(known, item):
            continue
        if known is not None and known.resolution not in (None, "none") and item.kind == "soft":
            continue
        drafts.append(_detected(run, item))
        if item.kind == "hot" and not (known is not None and known.resolution is None and known.kind == "hot"):
            drafts += _notes(workspace, run, item)
    pairs = {tuple(sorted(pair)) for pair in compared}
    for name, known in run.conflicts.items():
        if name not in now and known.resolution is None and (how := _how_gone(run, known, pairs)):
            drafts.append((HUB, ConflictResolved(run=run.run, conflict_id=name, resolution=how)))
    return drafts


def _detected(run: Run, item: Overlapping) -> Draft:
    return HUB, ConflictDetected(run=run.run, conflict_id=conflict_id(item), **item.model_dump())


def _is_current(run: Run, item: Overlapping) -> bool:
    """Return whether at least one of two pieces is still worked on, and the other is too or is merged."""
    pieces = [run.pieces[name] for name in (item.a, item.b) if name in run.pieces]
    unmerged = [piece for piece in pieces if piece.status in UNMERGED]
    return bool(unmerged) and all(piece in unmerged or piece.status is PieceStatus.APPLIED for piece in pieces)


def _is_unmerged(run: Run, name: str) -> bool:
    piece = run.pieces.get(name)
    return piece is not None and piece.status in UNMERGED


def _is_same(known: PieceConflict, item: Overlapping) -> bool:
    return all(getattr(known, name) == getattr(item, name) for name in _COMPARED)


def _how_gone(run: Run, known: PieceConflict, pairs: Iterable[tuple[str, ...]]) -> Resolution | None:
    """Return how a conflict ended that the comparison of these pairs did not show; None if they do not cover it."""
    for name, other in ((known.a, known.b), (known.b, known.a)):
        piece = run.pieces.get(other)
        is_merged = piece is None or piece.status is PieceStatus.APPLIED
        if is_merged and tuple(sorted((MERGED, name))) in pairs:
            return "rebased" if known.kind == "hot" else "merged"
    return "none" if tuple(sorted((known.a, known.b))) in pairs else None


def _notes(workspace: Workspace, run: Run, item: Overlapping) -> list[Draft]:
    """Return a note to the worker of each of the two pieces that is not merged yet; none to one that has ended."""
    drafts: list[Draft] = []
    for name, other in ((item.a, item.b), (item.b, item.a)):
        worker = workspace.get_instance(run.pieces[name].agent_id or "") if _is_unmerged(run, name) else None
        if worker is not None and worker.is_alive:
            rival = workspace.get_instance(run.pieces[other].agent_id or "") if _is_unmerged(run, other) else None
            text = brief.crossing_note(run, item, other, rival.agent_id if rival is not None else None)
            drafts.append((HUB, MessageSent(to=worker.agent_id, text=text)))
    return drafts
