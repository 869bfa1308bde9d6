"""Messages, broadcasts and file news: what instances tell each other through the hub."""

from __future__ import annotations

from typing import Any, Literal

from aegis_tui.domain.model import FrozenModel

ChangeType = Literal["created", "modified", "deleted", "moved"]


class Message(FrozenModel):
    """One message as it waits for its addressee."""

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
