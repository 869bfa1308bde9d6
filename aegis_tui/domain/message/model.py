"""The messages and fenced writes that the state keeps."""

from __future__ import annotations

from typing import Any, Literal

from aegis_tui.domain.model import FrozenModel

ChangeType = Literal["created", "modified", "deleted", "moved"]


class PendingMessage(FrozenModel):
    """A message that its addressee has not acknowledged yet."""

    seq: int
    sender: str
    to: str
    text: str
    kind: Literal["prompt", "note"]
    context: dict[str, Any]
    timestamp: str


class Write(FrozenModel):
    """One fenced write to a joint file."""

    agent_id: str
    file: str
    token: int
    new_oid: str
