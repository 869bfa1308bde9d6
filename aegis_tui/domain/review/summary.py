"""What all reviewers say of each piece of a run, computed from its events (REV-2, REV-4)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import cast

from aegis_tui.domain.event import Event
from aegis_tui.domain.review.aggregate import Remark, joined
from aegis_tui.domain.review.events import ReviewCompleted, ReviewRequested
from aegis_tui.domain.review.lens import ReviewLens
from aegis_tui.domain.run.events import COMPOSITION, RunStarted
from aegis_tui.domain.run.report_model import CriterionReport
from aegis_tui.domain.wire.review import JointVerdict, LensVerdict, PieceReview

EVENTS = ("run:started", "review:requested", "review:completed")
"""The types of events that `fold_reviews` needs; others may be left out."""


def fold_reviews(events: Iterable[Event], run: str) -> list[PieceReview]:
    """Return what all reviewers say of each piece, in the order in which the pieces were first reviewed.

    Only the reviews of the commit that was submitted last count. A lens without a verdict is PENDING.

    Args:
        events: The log in order.
        run: The id of the run; a run without events has no pieces.
    """
    lenses: Sequence[ReviewLens] = ()
    asked: dict[str, list[ReviewRequested]] = {}
    done: dict[str, ReviewCompleted] = {}
    for event in events:
        match event.data:
            case RunStarted() as started if started.run == run:
                lenses = started.facts.lenses
            case ReviewRequested() as wanted if wanted.run == run and not wanted.part:
                earlier = asked.get(wanted.piece, [])
                same = [item for item in earlier if item.head_oid == wanted.head_oid and item.lens != wanted.lens]
                asked[wanted.piece] = [*same, wanted]
            case ReviewCompleted() as said if said.run == run:
                done[said.review_id] = said
            case _:
                continue
    advisory = {lens.name for lens in lenses if not lens.blocking}
    return [_piece(wanted, done, advisory) for wanted in asked.values()]


def _piece(wanted: Sequence[ReviewRequested], done: dict[str, ReviewCompleted], advisory: set[str]) -> PieceReview:
    remarks: list[Remark] = []
    lenses: list[LensVerdict] = []
    for item in wanted:
        said = done.get(item.review_id)
        if said is not None:
            remarks += [Remark(finding, item.lens, said.reviewer) for finding in said.findings]
        criteria = [one.model_dump(mode="json", by_alias=True) for one in said.criteria] if said else []
        lenses.append(
            {
                "lens": item.lens,
                "blocking": item.piece == COMPOSITION or item.lens not in advisory,
                "reviewer": said.reviewer if said else None,
                "verdict": said.status if said else "PENDING",
                "criteria": cast(list[CriterionReport], criteria),
            }
        )
    findings = joined(remarks)
    last = wanted[-1]
    return {
        "piece": last.piece,
        "base_oid": last.base_oid,
        "head_oid": last.head_oid,
        "verdict": _verdict([item["verdict"] for item in lenses if item["blocking"]]),
        "score": round(sum(item["score"] for item in findings), 2),
        "lenses": lenses,
        "findings": findings,
    }


def _verdict(said: Sequence[JointVerdict]) -> JointVerdict:
    if "CHANGES_REQUESTED" in said:
        return "CHANGES_REQUESTED"
    return "APPROVED" if said and all(item == "APPROVED" for item in said) else "PENDING"
