"""A review: what waits for a verdict."""

from __future__ import annotations

from typing import Literal

from aegis_tui.domain.model import StateModel


class Review(StateModel):
    """One request for a verdict."""

    review_id: str
    piece: str
    base_oid: str
    head_oid: str
    files: tuple[str, ...]
    reviewer: str | None = None
    status: Literal["requested", "in_progress", "APPROVED", "CHANGES_REQUESTED"] = "requested"
    attempts: int = 0
