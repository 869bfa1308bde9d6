"""Messages, broadcasts and file news: what instances tell each other through the hub."""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import Any, Literal, assert_never

from pydantic import BaseModel, Field

from aegis_tui.domain.model import EventData, FrozenModel, Key

ChangeType = Literal["created", "modified", "deleted", "moved"]
RECENT_CHANGES = 200
"""How many file changes a snapshot of the shared context carries."""

KEPT_WRITES = 2_000
"""Fenced writes that are remembered, to know a change on disk that is seen a little later."""


class MessageSent(EventData):
    """Text for one instance. A `prompt` starts or continues its tool loop; `context` says what it is about."""

    type: Literal["message:sent"] = "message:sent"
    to: str
    text: str
    kind: Literal["prompt", "note"] = "note"
    context: dict[str, Any] = Field(default_factory=dict)


class MessageAcked(EventData):
    """The addressee has it: `delivered` means this event exists (PANE-4)."""

    type: Literal["message:acked"] = "message:acked"
    of: int


class Broadcast(EventData):
    """An event of a client's own that the core only passes on (plan:*, code:writing, fix:*)."""

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


class _SavedBoard(BaseModel):
    waiting: list[Message]
    writes: list[Write]
    recent: list[dict[str, Any]]


class MessageBoard:
    """Messages not yet acknowledged, fenced writes, and the newest file changes."""

    def __init__(self) -> None:
        self.waiting: dict[int, Message] = {}
        self._sent: dict[str, dict[int, Message]] = {}
        self._writes: dict[tuple[str, str], Write] = {}
        self.recent: list[dict[str, Any]] = []

    def for_agent(self, agent_id: str, after: int = 0) -> list[Message]:
        """Unacknowledged messages to one instance, oldest first."""
        return [item for item in self.waiting.values() if item.to == agent_id and item.seq > after]

    def waiting_from(self, sender: str) -> list[Message]:
        """Unacknowledged messages that one sender has sent, oldest first."""
        return list(self._sent.get(sender, {}).values())

    @property
    def writes(self) -> list[Write]:
        """The newest fenced write of each instance to each path, oldest first; a copy."""
        return list(self._writes.values())

    def clear_writes(self) -> None:
        """Forget the fenced writes: the run that they belong to is over."""
        self._writes.clear()

    def has_written(self, path: str, oid: str, is_writer: Callable[[str], bool]) -> bool:
        """Whether the newest fenced write to a path by one of these writers left this content."""
        items = reversed(self._writes.values())
        newest = (item.new_oid for item in items if item.file == path and is_writer(item.agent_id))
        return next(newest, None) == oid

    def forget(self, agents: Container[str]) -> None:
        """Let go of messages to instances that will not read them any more."""
        for seq in [seq for seq, item in self.waiting.items() if item.to in agents]:
            self._drop(seq)

    def evolve(self, seq: int, agent_id: str, data: MessageEvent, timestamp: str) -> frozenset[Key]:
        """Apply one event."""
        match data:
            case MessageSent():
                message = Message(seq=seq, sender=agent_id, timestamp=timestamp, **data.model_dump(exclude={"type"}))
                self._keep(message)
                return frozenset({("message", data.to)})
            case MessageAcked():
                self._drop(data.of)
                return frozenset({("message", agent_id)})
            case CodeWritten():
                self._note_write(Write(agent_id=agent_id, file=data.file, token=data.token, new_oid=data.new_oid))
                return frozenset({("file", data.file)})
            case FileChanged():
                self.recent.append(
                    {
                        "file": data.path,
                        "agent_id": agent_id,
                        "change_type": data.change_type,
                        "timestamp": timestamp,
                    }
                )
                del self.recent[:-RECENT_CHANGES]
                return frozenset({("file", data.path)})
            case Broadcast():
                return frozenset()
            case _:
                assert_never(data)

    def _keep(self, message: Message) -> None:
        self.waiting[message.seq] = message
        self._sent.setdefault(message.sender, {})[message.seq] = message

    def _drop(self, seq: int) -> None:
        message = self.waiting.pop(seq, None)
        if message is not None:
            sent = self._sent[message.sender]
            del sent[seq]
            if not sent:
                del self._sent[message.sender]

    def _note_write(self, write: Write) -> None:
        """Keep it as the newest of its instance and path; an older one says nothing any more."""
        key = (write.agent_id, write.file)
        self._writes.pop(key, None)
        self._writes[key] = write
        if len(self._writes) > KEPT_WRITES:
            del self._writes[next(iter(self._writes))]

    def dump(self) -> dict[str, Any]:
        """A plain form for snapshots."""
        return {
            "waiting": [item.model_dump(mode="json") for item in self.waiting.values()],
            "writes": [item.model_dump(mode="json") for item in self.writes],
            "recent": list(self.recent),
        }

    @classmethod
    def load(cls, plain: dict[str, Any]) -> MessageBoard:
        """The board that `dump` described."""
        saved = _SavedBoard.model_validate(plain)
        board = cls()
        for message in saved.waiting:
            board._keep(message)
        for write in saved.writes:
            board._note_write(write)
        board.recent = saved.recent
        return board
