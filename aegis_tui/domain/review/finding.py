"""What a review says: findings and judged criteria. Apart from the run's events, which bring the whole design along."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from aegis_tui.domain.model import FrozenModel


class Finding(FrozenModel):
    """One review remark or rule violation."""

    type: str = "review"
    file: str | None = None
    line: int | None = None
    msg: str
    severity: Literal["info", "warning", "error"] = "error"


class Criterion(FrozenModel):
    """One acceptance criterion, judged (REV-4)."""

    id: str
    passed: bool = Field(alias="pass")
    evidence: str = ""
