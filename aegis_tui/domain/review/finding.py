"""Findings and judged criteria of a review; in their own module, as `run.events` would import the whole design."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from aegis_tui.domain.model import FrozenModel


class Finding(FrozenModel):
    """One remark of a reviewer, or one rule that a piece breaks."""

    type: str = "review"
    file: str | None = None
    line: int | None = None
    msg: str
    severity: Literal["info", "warning", "error"] = "error"


class Criterion(FrozenModel):
    """One acceptance criterion and how the reviewer judged it (REV-4)."""

    id: str
    passed: bool = Field(alias="pass")
    evidence: str = ""
