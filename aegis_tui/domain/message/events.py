"""The events of messages, broadcasts, fenced writes and changed files (contract 6)."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from aegis_tui.domain.message.answer import DeliveryAnswer
from aegis_tui.domain.message.model import ChangeType
from aegis_tui.domain.model import EventData


class MessageSent(EventData):
    """A message to one instance. A `prompt` starts or continues its tool loop; `context` says what it is about."""

    type: Literal["message:sent"] = "message:sent"
    to: str
    text: str
    kind: Literal["prompt", "note"] = "note"
    context: dict[str, Any] = Field(default_factory=dict)


class MessageAcked(EventData):
    """The addressee said what became of a message (PANE-4)."""

    type: Literal["message:acked"] = "message:acked"
    of: int
    delivery: DeliveryAnswer = "delivered"
    reason: str = ""
    """Why it was not delivered, or why that is not known."""


class Broadcast(EventData):
    """An event that a client sent to all, such as plan:*, code:writing or fix:*."""

    type: Literal["broadcast"] = "broadcast"
    event: str
    data: dict[str, Any] = Field(default_factory=dict)


class CodeWritten(EventData):
    """A joint file was written under a lock whose token was current (LOCK-3)."""

    type: Literal["code:written"] = "code:written"
    file: str
    token: int
    base_oid: str | None = None
    new_oid: str
    feature: str | None = None
    """The exchange it belongs to, where the writer named one (ROLE-12)."""


class FileChanged(EventData):
    """A file in the repository or a worktree changed (HUB-10)."""

    type: Literal["file:changed"] = "file:changed"
    path: str
    change_type: ChangeType
    worktree: str
    diff: str | None = None
    unlocked: bool = False


MessageEvent = MessageSent | MessageAcked | Broadcast | CodeWritten | FileChanged
