"""The commands about messages and broadcasts, and the hub's own about changed files."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from aegis_tui.domain.field import Name, Reason, Text
from aegis_tui.domain.lock.region import Rewrite
from aegis_tui.domain.message.answer import DeliveryAnswer
from aegis_tui.domain.message.model import ChangeType
from aegis_tui.domain.model import CommandData, Count


class MessageSend(CommandData):
    """Send a note to another instance."""

    type: Literal["message:send"] = "message:send"
    to: Name
    text: Text


class MessageRead(CommandData):
    """Read the notes and prompts to the sender that it has not acknowledged."""

    type: Literal["message:read"] = "message:read"
    after: Count = 0


class BroadcastSend(CommandData):
    """Broadcast an event of the plan, code, review, fix or note family to all.

    The hub reads what was written and sets `rewrite`; a client cannot set it.
    """

    type: Literal["broadcast"] = "broadcast"
    event: str = Field(pattern=r"^(plan|code|review|fix|note):[a-z_]{1,40}$")
    data: dict[str, Any] = Field(default_factory=dict)
    rewrite: Rewrite | None = None


class Ack(CommandData):
    """Say what became of a message; `of` is the number of its event."""

    type: Literal["ack"] = "ack"
    of: Count
    delivery: DeliveryAnswer = "delivered"
    reason: Reason = ""
    """Why it was not delivered, or why that is not known."""


class FileObserved(CommandData):
    """Record a changed file that the watcher of the hub saw (HUB-10)."""

    type: Literal["file:observed"] = "file:observed"
    agent_id: str
    path: str
    change_type: ChangeType
    worktree: str
    oid: str | None = None
    """The blob id of the content as it is on disk; None when it is not known."""
    since_seq: int | None = None
    """Number of the newest event when the file changed; None when it is not known."""
    by_git: bool = False
    """Whether git itself wrote the content: in a checkout, a merge or a rebase."""


MessageClientCommand = MessageSend | MessageRead | BroadcastSend | Ack
MessageHubCommand = FileObserved
