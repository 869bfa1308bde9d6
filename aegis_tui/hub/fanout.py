"""Send events to all subscribers: each is encoded once, slow receivers delay nobody, and none is lost (HUB-4)."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass

from websockets.frames import Frame, Opcode

from aegis_tui.domain.decision import Actor
from aegis_tui.domain.event import Event
from aegis_tui.domain.model import SCHEMA_VERSION, compact_json
from aegis_tui.hub.engine import Engine
from aegis_tui.hub.interest import Interest, is_visible, public_wire

MAX_QUEUED_EVENTS = 1_000
MAX_QUEUED_BYTES = 1 << 20
CATCH_UP_EVENTS = 200


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """One text message and its WebSocket frame; `seq` is 0 for messages that are not logged events."""

    seq: int
    text: str
    frame: bytes


def outgoing(seq: int, envelope: Mapping[str, object]) -> OutgoingMessage:
    """Encode an envelope as JSON text and as a WebSocket frame; `seq` is 0 for messages that are not logged events.

    A server's frames are unmasked, so one frame serves every receiver (RFC 6455 5.1).
    """
    text = compact_json(envelope)
    return OutgoingMessage(seq, text, Frame(Opcode.TEXT, text.encode()).serialize(mask=False))


class Subscriber:
    """One receiver of events: live with a bounded queue, or catching up from the log.

    Delivery: must-deliver, in `seq` order, without gap or duplicate after the cursor. A queue that overflows is
    dropped; a `resync` message announces this, and the events are read again from the log at the receiver's own pace.
    """

    def __init__(self, fanout: Fanout, actor: Actor) -> None:
        self._fanout = fanout
        self.actor = actor
        self.interest = Interest()
        self._write_now: Callable[[bytes], bool] | None = None
        self._is_sending = False
        self.cursor = fanout.published_seq
        self.dropped = 0
        self._queue: deque[OutgoingMessage] = deque()
        self._queued_bytes = 0
        self._is_live = True
        self._must_tell = False
        self._wake = asyncio.Event()

    def listen(self, interest: Interest, *, after: int | None = None) -> None:
        """Subscribe to `interest` instead of the former one.

        Args:
            interest: The events to receive.
            after: Begin after the event with this number, read from the log, and drop what is queued; None to go on as
                before with what is still to come.
        """
        self._fanout.regroup(self, interest)
        if after is not None:
            self.cursor, self._is_live = after, False
            self._clear()
        self._wake.set()

    def wants(self, event: Event) -> bool:
        """Return whether the receiver subscribed to the event and may see it."""
        return self.interest.wants(event) and is_visible(event, self.actor)

    def offer(self, item: OutgoingMessage) -> None:
        """Take an event that the receiver wants: send it at once if no other waits before it, or else queue it.

        Never blocks. A queue of over 1,000 events or 1 MiB is dropped instead, and the events come from the log later.
        No effect if the receiver is reading the log, or has the event already.
        """
        if self._is_live and item.seq > self.cursor:
            is_first = self._write_now is not None and not self._queue and not self._is_sending
            if is_first and self._write_now and self._write_now(item.frame):
                self.cursor = item.seq
                return
            self._queue.append(item)
            self._queued_bytes += len(item.frame)
            if len(self._queue) > MAX_QUEUED_EVENTS or self._queued_bytes > MAX_QUEUED_BYTES:
                self._overflow()
        self._wake.set()

    def _overflow(self) -> None:
        self.dropped += len(self._queue)
        self._clear()
        self._is_live, self._must_tell = False, True

    def _clear(self) -> None:
        self._queue.clear()
        self._queued_bytes = 0

    async def messages(self, write_now: Callable[[bytes], bool] | None = None) -> AsyncGenerator[OutgoingMessage, None]:
        """Yield what to send next, without end: events, and the messages `resync` and `context:sync`.

        An item counts as sent when the next one is requested. Call this once for a receiver.

        Args:
            write_now: Sends a frame at once, or returns False. Live events with an empty queue are sent by it and not
                yielded, so that a thousand receivers do not have to wake a thousand tasks.

        Raises:
            StoreError: The log cannot be read, or the state cannot be rebuilt from it.
        """
        self._write_now = write_now
        while True:
            if not self._is_live:
                async for item in self._catch_up():
                    yield item
                continue
            while self._is_live and self._queue:
                item = self._queue.popleft()
                self._queued_bytes -= len(item.frame)
                self.cursor = item.seq
                self._is_sending = True
                yield item
                self._is_sending = False
            if self._is_live:
                await self._wake.wait()
                self._wake.clear()

    async def _catch_up(self) -> AsyncGenerator[OutgoingMessage, None]:
        if self._must_tell:
            self._must_tell = False
            yield outgoing(0, {"v": SCHEMA_VERSION, "type": "resync", "from_seq": self.cursor, "dropped": self.dropped})
        engine = self._fanout.engine
        if self.cursor + 1 < engine.first_seq:
            yield await self._snapshot()
        for event in await engine.events(self.cursor, CATCH_UP_EVENTS):
            if event.seq != self.cursor + 1:
                return
            self.cursor = event.seq
            if self.wants(event):
                yield outgoing(event.seq, public_wire(event))
        if self.cursor >= self._fanout.published_seq:
            self._is_live = True

    async def _snapshot(self) -> OutgoingMessage:
        """Return a message of the type `context:sync` with the shared context, and move the cursor to its last event.

        It is for a receiver whose next events were compacted away.

        Raises:
            StoreError: The state cannot be rebuilt from the log.
        """
        view = await self._fanout.engine.context()
        self.cursor = view["seq"]
        return outgoing(
            0,
            {
                "v": SCHEMA_VERSION,
                "type": "context:sync",
                "agent_id": "hub",
                "timestamp": self._fanout.engine.timestamp(),
                "data": {"snapshot": view, "seq": self.cursor},
            },
        )


class Fanout:
    """All subscribers of the hub."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.published_seq = engine.last_seq
        self.dropped = 0
        self._subscribers: set[Subscriber] = set()
        self._groups: dict[Interest, set[Subscriber]] = {}
        engine.add_listener(self._publish)

    def __len__(self) -> int:
        """Return how many subscribers there are."""
        return len(self._subscribers)

    def join(self, actor: Actor) -> Subscriber:
        """Add and return a subscriber, which gets events after its `listen`; call `leave` when its connection ends."""
        subscriber = Subscriber(self, actor)
        self._subscribers.add(subscriber)
        return subscriber

    def leave(self, subscriber: Subscriber) -> None:
        """Remove a subscriber, which then gets no more events, and add the events that its queue dropped to `dropped`.

        Call it once for each.
        """
        self.dropped += subscriber.dropped
        self._subscribers.discard(subscriber)
        self._ungroup(subscriber)

    def regroup(self, subscriber: Subscriber, interest: Interest) -> None:
        """Replace the interest of a subscriber; if it has left, or the interest is empty, it gets no live events."""
        self._ungroup(subscriber)
        subscriber.interest = interest
        if subscriber in self._subscribers and (interest.types or interest.globs):
            self._groups.setdefault(interest, set()).add(subscriber)

    def _ungroup(self, subscriber: Subscriber) -> None:
        group = self._groups.get(subscriber.interest, set())
        group.discard(subscriber)
        if not group:
            self._groups.pop(subscriber.interest, None)

    def _publish(self, events: list[Event]) -> None:
        """Offer logged events, at least one, to all who want and may see them; then set `published_seq`.

        Each interest is checked once, as most subscribers share one.
        """
        for event in events:
            item: OutgoingMessage | None = None
            for interest, group in self._groups.items():
                if not interest.wants(event):
                    continue
                item = item or outgoing(event.seq, public_wire(event))
                for subscriber in group:
                    if is_visible(event, subscriber.actor):
                        subscriber.offer(item)
        self.published_seq = events[-1].seq
