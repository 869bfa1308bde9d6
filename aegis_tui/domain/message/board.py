"""The messages, fenced writes and file changes in the state, changed only by events."""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import Any, assert_never, cast

from pydantic import Field

from aegis_tui.domain.message.answer import DeliveryAnswer
from aegis_tui.domain.message.events import Broadcast, CodeWritten, FileChanged, MessageAcked, MessageEvent, MessageSent
from aegis_tui.domain.message.model import PendingMessage, Write
from aegis_tui.domain.model import Key, StateModel
from aegis_tui.domain.wire.context import RecentChange

RECENT_CHANGES = 200
"""How many file changes a snapshot of the shared context carries."""


KEPT_WRITES = 2_000
"""How many fenced writes are kept, to recognise a change on disk that is seen a little later."""


KEPT_ANSWERS = 256
"""How many messages that were not delivered are remembered, the newest."""


class _SavedBoard(StateModel):
    waiting: list[PendingMessage]
    writes: list[Write]
    recent: list[dict[str, Any]]
    undelivered: list[tuple[int, DeliveryAnswer]] = Field(default_factory=list)


class MessageBoard:
    """Messages not yet acknowledged, fenced writes, and the newest file changes."""

    def __init__(self) -> None:
        self.waiting: dict[int, PendingMessage] = {}
        self._sent: dict[str, dict[int, PendingMessage]] = {}
        self._writes: dict[tuple[str, str], Write] = {}
        self.recent: list[RecentChange] = []
        self.undelivered: dict[int, DeliveryAnswer] = {}
        """Number of a message -> what became of it, for the newest that were answered and not delivered."""

    def for_agent(self, agent_id: str, after: int = 0) -> list[PendingMessage]:
        """Return the unacknowledged messages to one instance after event `after`, oldest first."""
        return [item for item in self.waiting.values() if item.to == agent_id and item.seq > after]

    def waiting_from(self, sender: str) -> list[PendingMessage]:
        """Return the unacknowledged messages that one sender has sent, oldest first."""
        return list(self._sent.get(sender, {}).values())

    @property
    def writes(self) -> list[Write]:
        """The newest fenced write (under a lock's token) of each instance to each path, oldest first; a copy."""
        return list(self._writes.values())

    def clear_writes(self) -> None:
        """Remove the fenced writes; called when their run has finished."""
        self._writes.clear()

    def has_written(self, path: str, oid: str, is_writer: Callable[[str], bool]) -> bool:
        """Return whether the newest fenced write to a path by one of these writers left the content with blob id `oid`.

        Only the newest `KEPT_WRITES` writes are known.

        Args:
            path: The file, in NFC.
            oid: The blob id.
            is_writer: Agent id -> whether the writes of that agent count.
        """
        items = reversed(self._writes.values())
        newest = (item.new_oid for item in items if item.file == path and is_writer(item.agent_id))
        return next(newest, None) == oid

    def forget(self, agents: Container[str]) -> None:
        """Remove the unacknowledged messages to these instances, which will not read them any more."""
        for seq in [seq for seq, item in self.waiting.items() if item.to in agents]:
            self._drop(seq)

    def evolve(self, seq: int, agent_id: str, data: MessageEvent, timestamp: str) -> frozenset[Key]:
        """Apply one event in place and return the keys that changed; a broadcast changes nothing. Never raises.

        Args:
            seq: The number of the event.
            agent_id: The instance that it belongs to; for a message, its sender.
            data: What happened.
            timestamp: When, as RFC 3339 text.
        """
        match data:
            case MessageSent():
                message = PendingMessage(
                    seq=seq, sender=agent_id, timestamp=timestamp, **data.model_dump(exclude={"type"})
                )
                self._keep(message)
                return frozenset({("message", data.to)})
            case MessageAcked():
                self._drop(data.of)
                if data.delivery != "delivered":
                    self.undelivered[data.of] = data.delivery
                    if len(self.undelivered) > KEPT_ANSWERS:
                        del self.undelivered[next(iter(self.undelivered))]
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

    def _keep(self, message: PendingMessage) -> None:
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
        """Keep a write in place of an older one of its instance and path; only the newest `KEPT_WRITES` stay."""
        key = (write.agent_id, write.file)
        self._writes.pop(key, None)
        self._writes[key] = write
        if len(self._writes) > KEPT_WRITES:
            del self._writes[next(iter(self._writes))]

    def dump(self) -> dict[str, Any]:
        """Return the board as plain values for a snapshot."""
        return {
            "waiting": [item.model_dump(mode="json") for item in self.waiting.values()],
            "writes": [item.model_dump(mode="json") for item in self.writes],
            "recent": list(self.recent),
            "undelivered": [list(item) for item in self.undelivered.items()],
        }

    @classmethod
    def load(cls, plain: dict[str, Any]) -> MessageBoard:
        """Return a new board with what `dump` returned.

        Raises:
            ValueError: A value has another form.
        """
        saved = _SavedBoard.model_validate(plain)
        board = cls()
        for message in saved.waiting:
            board._keep(message)
        for write in saved.writes:
            board._note_write(write)
        board.recent, board.undelivered = cast(list[RecentChange], saved.recent), dict(saved.undelivered)
        return board
