"""The commands about scopes: ask for a path, answer such a request, and replace a partition."""

from __future__ import annotations

from typing import Literal

from aegis_tui.domain.field import Name, PathText, Reason, Text
from aegis_tui.domain.model import CommandData


class ScopeRequest(CommandData):
    """Ask to write a path outside the sender's partition (PART-6)."""

    type: Literal["scope:request"] = "scope:request"
    path: PathText
    reason: Text


class ScopeGrant(CommandData):
    """Grant a scope request; the owner of the path, the Commander or a person answers it."""

    type: Literal["scope:grant"] = "scope:grant"
    request: Name


class ScopeRefuse(CommandData):
    """Refuse a scope request; the owner of the path, the Commander or a person answers it."""

    type: Literal["scope:refuse"] = "scope:refuse"
    request: Name
    reason: Reason = ""


class PartitionSet(CommandData):
    """Replace the partition of an instance."""

    type: Literal["partition:set"] = "partition:set"
    agent_id: Name
    globs: tuple[str, ...]


ScopeClientCommand = ScopeRequest | ScopeGrant | ScopeRefuse | PartitionSet
