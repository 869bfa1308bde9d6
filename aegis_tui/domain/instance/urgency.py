"""How much others wait for an instance: the model server works on the most urgent first, where it can (LLM-5)."""

from __future__ import annotations

from collections import Counter

from aegis_tui.domain.piece.model import PieceStatus
from aegis_tui.domain.run.events import FOUNDATION
from aegis_tui.domain.run.model import Run
from aegis_tui.domain.workspace import Workspace

LOCK, WAITED_FOR_LOCK, GATE, DEPENDANT = 1, 2, 2, 1
"""Points for: each lock held; each that waits for it; work that a gate waits for; each piece that waits for a piece."""
MOST = 9
"""The most points of one instance: beyond that, urgency makes no difference."""

_DONE = (PieceStatus.ACCEPTED, PieceStatus.APPLIED, PieceStatus.LEFT_OUT)


def urgencies(workspace: Workspace) -> dict[str, int]:
    """Return how much others wait for each living instance: agent id -> points, at most 9.

    Each lock that it holds gives 1, and 2 for each request that waits for it. In an open run its unfinished piece gives
    1 for each piece that waits for it, and 2 if it is the foundation; a review that the run waits for, and the design,
    give 2. An instance that nobody waits for has 0, or is left out.
    """
    points: Counter[str] = Counter()
    for lock in workspace.locks.locks():
        points[lock.agent_id] += LOCK + WAITED_FOR_LOCK * len(workspace.locks.waits_for(lock))
    run = workspace.runs.current()
    if run is not None and run.is_open:
        _count_pieces(run, points)
        for item in workspace.instances.of_run(run.run):
            review = run.reviews.get(item.review_id or "")
            is_waited_for = review is not None and not review.is_decided and run.is_blocking(review)
            if item.task == "design" or is_waited_for:
                points[item.agent_id] += GATE
    alive = {item.agent_id for item in workspace.instances.alive()}
    return {agent_id: min(count, MOST) for agent_id, count in sorted(points.items()) if agent_id in alive}


def _count_pieces(run: Run, points: Counter[str]) -> None:
    waiting: Counter[str] = Counter()
    for piece in run.pieces.values():
        if piece.status is PieceStatus.PENDING:
            waiting.update(piece.depends_on)
    for piece in run.pieces.values():
        if piece.agent_id is None or piece.status in _DONE:
            continue
        points[piece.agent_id] += DEPENDANT * waiting[piece.name]
        if piece.name == FOUNDATION:
            points[piece.agent_id] += GATE
