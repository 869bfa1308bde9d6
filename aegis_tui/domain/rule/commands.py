"""The commands with which a person answers what the merge rules found in a piece."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from aegis_tui.domain.field import Name, Reason
from aegis_tui.domain.model import CommandData


class RuleAllow(CommandData):
    """Allow findings of the merge rules, as a person: those named, or all for which a piece waits."""

    type: Literal["rule:allow"] = "rule:allow"
    run: Name | None = None
    keys: Annotated[tuple[Name, ...], Field(max_length=500)] = ()
    piece: Name | None = None
    reason: Reason = ""


class RuleRefuse(CommandData):
    """Send a piece back that waits for a person, as a person: what the merge rules found is not allowed."""

    type: Literal["rule:refuse"] = "rule:refuse"
    run: Name | None = None
    piece: Name
    reason: Reason = ""


RuleClientCommand = RuleAllow | RuleRefuse
