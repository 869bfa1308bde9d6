"""The events of partitions and scope requests (contract 6)."""

from __future__ import annotations

from typing import Literal

from aegis_tui.domain.model import EventData


class PartitionChanged(EventData):
    """The partition of an instance was replaced by `globs`."""

    type: Literal["partition:changed"] = "partition:changed"
    globs: tuple[str, ...]


class ScopeRequested(EventData):
    """An instance asks for a path outside its partition (PART-6)."""

    type: Literal["scope:requested"] = "scope:requested"
    request: str
    path: str
    reason: str


class ScopeGranted(EventData):
    """A scope request was granted: the instance `to` may write `path`, under a lock if others may write it too."""

    type: Literal["scope:granted"] = "scope:granted"
    request: str
    path: str
    to: str


class ScopeRefused(EventData):
    """A scope request of the instance `to` was refused."""

    type: Literal["scope:refused"] = "scope:refused"
    request: str
    path: str
    to: str
    reason: str


ScopeEvent = PartitionChanged | ScopeRequested | ScopeGranted | ScopeRefused
