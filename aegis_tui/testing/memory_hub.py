"""A hub in memory for tests of agents: it decides about partitions and locks and records every command."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aegis_tui.domain.scope.partition import PartitionTable
from aegis_tui.errors import AegisError, LockHeld, PartitionRefused, StaleToken, UsageError
from aegis_tui.ports.hub_link import HubEvent, LockGrant

DEFAULT_TTL_S = 300.0
"""The lifetime of a lock that the hub states; it has no clock, so no lock expires by itself (see `lapse`)."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """One command that an instance sent."""

    agent_id: str
    type: str
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Lock:
    agent_id: str
    grant: LockGrant


class MemoryHub:
    """A hub with EXCLUSIVE locks, a fair lock queue, partition verdicts, and events with a gap-free seq.

    Use it in one event loop; it has no clock.
    """

    def __init__(self, partitions: PartitionTable | None = None, *, ttl_s: float = DEFAULT_TTL_S) -> None:
        self.partitions = partitions or PartitionTable()
        self.ttl_s = ttl_s
        self.recorded: list[Recorded] = []
        """Every command, refused ones too, in order."""
        self.events: list[HubEvent] = []
        """Every event, in `seq` order."""
        self._changed = asyncio.Condition()
        self._locks: dict[str, _Lock] = {}
        self._queues: dict[str, deque[str]] = defaultdict(deque)
        self._refusals: dict[str, deque[AegisError | None]] = defaultdict(deque)
        self._tokens = 0

    def link(self, agent_id: str) -> MemoryLink:
        """Return the link of one instance to this hub, as an agent uses it (`HubLink`); nothing is registered."""
        return MemoryLink(self, agent_id)

    def refuse_next(self, command_type: str, error: AegisError, *, after: int = 0) -> None:
        """Refuse one command of this type with `error`: the next one after `after` others, which are accepted."""
        self._refusals[command_type].extend([*[None] * after, error])

    def of_type(self, command_type: str) -> list[Recorded]:
        """Return the recorded commands of one type, in order."""
        return [item for item in self.recorded if item.type == command_type]

    def holder_of(self, path: str) -> str | None:
        """Return the agent that holds the lock of `path`; None if nobody does."""
        lock = self._locks.get(path)
        return lock.agent_id if lock else None

    async def publish(self, event_type: str, agent_id: str, **data: Any) -> HubEvent:
        """Append an event, send it to all subscribers, and return it; its type and data are not checked."""
        event = HubEvent(len(self.events) + 1, event_type, agent_id, "", data)
        async with self._changed:
            self.events.append(event)
            self._changed.notify_all()
        return event

    async def prompt(self, agent_id: str, text: str, **context: Any) -> HubEvent:
        """Send a prompt to an agent as the real hub does, as an event `message:sent`; return the event."""
        return await self.publish("message:sent", "hub", to=agent_id, text=text, kind="prompt", context=context)

    async def wait_for(self, command_type: str, *, timeout_s: float = 10.0, **fields: Any) -> Recorded:
        """Return the first command of this type with these fields; wait for it if there is none yet.

        Raises:
            TimeoutError: There was none within `timeout_s` seconds.
        """
        async with asyncio.timeout(timeout_s), self._changed:
            while True:
                for item in self.of_type(command_type):
                    if fields.items() <= dict(item.fields).items():
                        return item
                await self._changed.wait()

    async def lapse(self, path: str) -> None:
        """Let the lock of `path` expire.

        Raises:
            KeyError: The path is not locked.
        """
        lock = self._locks.pop(path)
        await self.publish("lock:expired", lock.agent_id, lock_id=lock.grant.lock_id, path=path)

    async def take(self, agent_id: str, command_type: str, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Record a command, carry it out and return the reply; one that the hub does not know only gets `ok`.

        Raises:
            AegisError: The command is refused, by the hub's rules or by `refuse_next`.
        """
        async with self._changed:
            self.recorded.append(Recorded(agent_id, command_type, dict(fields)))
            self._changed.notify_all()
        if (queued := self._refusals[command_type]) and (refusal := queued.popleft()):
            raise refusal
        match command_type:
            case "agent:register":
                return {"ok": True, "agent_id": agent_id, "session": f"s-{agent_id}", "ttl_s": 30.0}
            case "context:get":
                return {"ok": True, "seq": len(self.events)}
            case "message:read":
                return {"ok": True, "messages": self._unread(agent_id)}
            case "heartbeat":
                mine = {lock.grant.lock_id for lock in self._locks.values() if lock.agent_id == agent_id}
                return {"ok": True, "lost": sorted(set(fields.get("held", ())) - mine)}
            case "broadcast":
                self._check_write(agent_id, fields)
                await self.publish(fields["event"], agent_id, **fields["data"])
            case "lock:renew":
                grant = self._locks[self._find(agent_id, fields["lock_id"], fields["token"])].grant
                return {"locks": [{"lock_id": grant.lock_id, "expires_in_s": grant.expires_in_s}]}
            case "diff:submit":
                await self.publish("merge:queued", agent_id, piece=fields["spec_id"])
            case _:
                pass
        return {"ok": True}

    async def acquire(
        self, agent_id: str, path: str, *, ttl_s: float, wait_s: float, region: str | None = None
    ) -> LockGrant:
        """Grant the lock of `path`, in the order of requests; a lock on a region excludes all others from the file too.

        Also the holder itself has to wait for its own lock, unlike at the real hub.

        Raises:
            PartitionRefused: The instance may not write the path.
            LockHeld: It was not granted within `wait_s` seconds; with 0, it was not free at once.
        """
        verdict = self.partitions.verdict(agent_id, path)
        if not verdict.allowed:
            raise PartitionRefused(verdict.message, owner=verdict.owner)
        queue = self._queues[path]
        queue.append(agent_id)
        if path in self._locks or queue[0] != agent_id:
            await self.publish("lock:queued", agent_id, path=path, holder=self.holder_of(path))
        try:
            async with asyncio.timeout(wait_s or None), self._changed:
                while path in self._locks or queue[0] != agent_id:
                    if not wait_s:
                        raise self._held(path)
                    await self._changed.wait()
                self._tokens += 1
                grant = LockGrant(f"L{self._tokens}", path, self._tokens, ttl_s, region)
                self._locks[path] = _Lock(agent_id, grant)
        except TimeoutError as error:
            raise self._held(path) from error
        finally:
            queue.remove(agent_id)
        await self.publish("lock:acquired", agent_id, path=path, token=grant.token, region=region)
        return grant

    async def release(self, agent_id: str, lock_id: str, token: int) -> None:
        """Release a lock, and publish that; those who wait for it may then acquire it.

        Raises:
            StaleToken: It is not held by this instance under this token.
        """
        path = self._find(agent_id, lock_id, token)
        del self._locks[path]
        await self.publish("lock:released", agent_id, path=path, token=token)

    async def follow(self, after: int) -> AsyncIterator[HubEvent]:
        """Yield the events after the sequence number `after`, and new ones as they come, without end."""
        position = after
        while True:
            async with self._changed:
                while len(self.events) <= position:
                    await self._changed.wait()
                event = self.events[position]
            position += 1
            yield event

    def _find(self, agent_id: str, lock_id: str, token: int) -> str:
        for path, lock in self._locks.items():
            if (lock.agent_id, lock.grant.lock_id, lock.grant.token) == (agent_id, lock_id, token):
                return path
        raise StaleToken(f"{lock_id} is not held under token {token}")

    def _unread(self, agent_id: str) -> list[dict[str, Any]]:
        acked = {item.fields["of"] for item in self.of_type("ack") if item.agent_id == agent_id}
        return [
            {"seq": event.seq, "sender": event.agent_id, "timestamp": event.timestamp, **event.data}
            for event in self.events
            if event.type == "message:sent" and event.data["to"] == agent_id and event.seq not in acked
        ]

    def _held(self, path: str) -> LockHeld:
        holder = self.holder_of(path)
        return LockHeld(f"{path} is locked", "Try again later", held_by=holder, expires_in_s=self.ttl_s)

    def _check_write(self, agent_id: str, fields: Mapping[str, Any]) -> None:
        data = fields["data"]
        if fields["event"] not in ("code:writing", "code:written"):
            raise UsageError(f"unknown event {fields['event']}")
        lock = self._locks.get(data["file"])
        if lock is None or (lock.agent_id, lock.grant.token) != (agent_id, data["token"]):
            raise StaleToken(f"token {data['token']} is not the current one of {data['file']}")


@dataclass(frozen=True, slots=True)
class MemoryLink:
    """One instance's link to a `MemoryHub`."""

    hub: MemoryHub
    agent_id: str

    async def command(
        self, command_type: str, /, *, request_id: str | None = None, timeout_s: float | None = None, **fields: Any
    ) -> dict[str, Any]:
        """Carry a command out as `MemoryHub.take` does, and return the reply; `request_id` is ignored.

        Raises:
            AegisError: The command is refused.
            TimeoutError: It took over `timeout_s` seconds, where a real link raises `HubUnavailable`.
        """
        async with asyncio.timeout(timeout_s):
            return await self.hub.take(self.agent_id, command_type, fields)

    async def events(self, *, types: Sequence[str] = (), after: int | None = None) -> AsyncIterator[HubEvent]:
        """Yield events of these types, or of all, after the number `after`; without it, only new ones. Never ends.

        A broadcast has the type of the event that it carries, too.
        """
        async for event in self.hub.follow(after if after is not None else len(self.hub.events)):
            if not types or event.type in types or (event.type == "broadcast" and event.data["event"] in types):
                yield event

    async def acquire_lock(
        self,
        path: str,
        *,
        lock_type: str = "EXCLUSIVE",
        ttl_s: float | None = None,
        wait_s: float = 0.0,
        lines: tuple[int, int] | None = None,
        symbol: str | None = None,
    ) -> LockGrant:
        """Acquire an EXCLUSIVE lock on a file, or on its lines or a symbol; for errors see `MemoryHub.acquire`.

        Raises:
            UsageError: Another `lock_type` is wanted.
        """
        if lock_type != "EXCLUSIVE":
            raise UsageError("the hub in memory grants EXCLUSIVE locks only")
        region = f"{lines[0]}-{lines[1]}" if lines else symbol
        return await self.hub.acquire(self.agent_id, path, ttl_s=ttl_s or self.hub.ttl_s, wait_s=wait_s, region=region)

    async def release_lock(self, lock_id: str, token: int) -> None:
        """Release a lock; raises `StaleToken` if this instance does not hold it under this token."""
        await self.hub.release(self.agent_id, lock_id, token)
