"""The commands of reviews."""

from __future__ import annotations

from typing import Literal

from pydantic import field_validator

from aegis_tui.domain.field import Name
from aegis_tui.domain.model import CommandData
from aegis_tui.domain.review.finding import Criterion, Finding, checked_findings


class ReviewVerdict(CommandData):
    """Approve or reject what a review is about, with judged criteria and findings."""

    type: Literal["review:verdict"] = "review:verdict"
    review_id: Name
    decision: Literal["approve", "reject"]
    criteria: tuple[Criterion, ...] = ()
    findings: tuple[Finding, ...] = ()

    _check = field_validator("findings")(checked_findings)


ReviewClientCommand = ReviewVerdict
