"""The commands of scopes: asking for paths, and giving them."""

from __future__ import annotations

from typing import Literal

from aegis_tui.domain.field import Name, PathText, Reason, Text
from aegis_tui.domain.model import CommandData


class ScopeRequest(CommandData):
    """Ask for a path outside the own partition (PART-6)."""

    type: Literal["scope:request"] = "scope:request"
    path: PathText
    reason: Text


class ScopeGrant(CommandData):
    """The owner, the Commander or a person says yes."""

    type: Literal["scope:grant"] = "scope:grant"
    request: Name


class ScopeRefuse(CommandData):
    """... or no."""

    type: Literal["scope:refuse"] = "scope:refuse"
    request: Name
    reason: Reason = ""


class PartitionSet(CommandData):
    """Give an instance other globs."""

    type: Literal["partition:set"] = "partition:set"
    agent_id: Name
    globs: tuple[str, ...]


ScopeClientCommand = ScopeRequest | ScopeGrant | ScopeRefuse | PartitionSet
