"""The commands of messages, and what the watcher saw."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from aegis_tui.domain.field import Name, Text
from aegis_tui.domain.lock.region import Rewrite
from aegis_tui.domain.message.model import ChangeType
from aegis_tui.domain.model import CommandData, Count


class MessageSend(CommandData):
    """A note to another instance."""

    type: Literal["message:send"] = "message:send"
    to: Name
    text: Text


class MessageRead(CommandData):
    """Notes and prompts to the asker that it has not acknowledged."""

    type: Literal["message:read"] = "message:read"
    after: Count = 0


class BroadcastSend(CommandData):
    """Pass an event of the plan, code, review or fix family on to all.

    The hub fills `rewrite` by looking at what was written; a client cannot.
    """

    type: Literal["broadcast"] = "broadcast"
    event: str = Field(pattern=r"^(plan|code|review|fix|note):[a-z_]{1,40}$")
    data: dict[str, Any] = Field(default_factory=dict)
    rewrite: Rewrite | None = None


class Ack(CommandData):
    """An event has reached its addressee."""

    type: Literal["ack"] = "ack"
    of: Count


class FileObserved(CommandData):
    """The watcher saw a change (HUB-10)."""

    type: Literal["file:observed"] = "file:observed"
    agent_id: str
    path: str
    change_type: ChangeType
    worktree: str
    oid: str | None = None
    """The blob id of the content as it is on disk; None when it is not known."""
    since_seq: int | None = None
    """The newest event when the file changed; None when it is not known."""
    by_git: bool = False
    """The content is one that git itself put there: a checkout, a merge, a rebase."""


MessageClientCommand = MessageSend | MessageRead | BroadcastSend | Ack
MessageHubCommand = FileObserved
