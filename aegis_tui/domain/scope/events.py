"""What can happen to the paths of an instance (contract 6)."""

from __future__ import annotations

from typing import Literal

from aegis_tui.domain.model import EventData


class PartitionChanged(EventData):
    """An instance's globs are these now."""

    type: Literal["partition:changed"] = "partition:changed"
    globs: tuple[str, ...]


class ScopeRequested(EventData):
    """An instance asks for a path outside its partition (PART-6)."""

    type: Literal["scope:requested"] = "scope:requested"
    request: str
    path: str
    reason: str


class ScopeGranted(EventData):
    """It may write there, under a lock."""

    type: Literal["scope:granted"] = "scope:granted"
    request: str
    path: str
    to: str


class ScopeRefused(EventData):
    """It may not."""

    type: Literal["scope:refused"] = "scope:refused"
    request: str
    path: str
    to: str
    reason: str


ScopeEvent = PartitionChanged | ScopeRequested | ScopeGranted | ScopeRefused
