"""Locks for `with` blocks: shared by the blocks of one client, renewed, and released by the last block."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Protocol

from aegis_tui.errors import AegisError, HubUnavailable, Refused, StaleToken
from aegis_tui.ports.hub_link import LockGrant
from aegis_tui.sdk.lease import Lease

_SHORTEST_PAUSE_S = 0.05
_log = logging.getLogger(__name__)


class Send(Protocol):
    """Sends one command of contract 5 and returns its reply, or raises the `AegisError` of the refusal."""

    async def __call__(self, command_type: str, /, *, request_id: str | None = None, **fields: Any) -> dict[str, Any]:
        """Send the command without the fields that are None; return its reply, or raise the error of its refusal."""
        ...


Acquire = Callable[[str], Awaitable[LockGrant]]
"""Requests the lock of a block, under the given request id."""


@dataclass(slots=True, eq=False)
class Held(Lease):
    """One held lock, and how many blocks use it."""

    grant: LockGrant
    lock_type: str
    ttl_s: float
    until: float
    """When the lock ends unless it is renewed, on this machine's monotonic clock."""
    requests: list[str] = field(default_factory=list)
    """Ids of the requests for it. Releasing by request id ends only what these requests were granted, nothing older."""
    blocks: int = 0
    keeper: asyncio.Task[None] | None = None


class Holdings:
    """All locks that the blocks of one client hold."""

    def __init__(self, send: Send, spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]) -> None:
        self._send = send
        self._spawn = spawn
        self._held: dict[str, Held] = {}
        self._leaving: set[str] = set()
        """Ids of locks that are being released."""
        self._entering: dict[str, set[str]] = {}
        """Request id -> locks being released since that request was sent: its answer may name one of them."""

    async def enter(self, acquire: Acquire, *, lock_type: str, ttl_s: float) -> Held:
        """Enter a block: request its lock, and return it; `leave` must be called at the end of the block.

        If the hub names a lock that another block of this client holds, the two share it. Until the last block has
        left, the lock is renewed in the background.

        Args:
            acquire: Requests the lock from the hub; called again if the answer names a lock that is being released.
            lock_type: EXCLUSIVE, SHARED or REVIEW, as `acquire` requests it.
            ttl_s: How long the lock lasts after each renewal, in seconds; the longest of all blocks counts.

        Raises:
            AegisError: Any error of `acquire`, such as `LockHeld`; the block is then not entered.
        """
        while True:
            request_id = uuid.uuid4().hex
            self._entering[request_id] = set(self._leaving)
            try:
                asked_at = time.monotonic()
                grant = await acquire(request_id)
            finally:
                given_back = self._entering.pop(request_id)
            if grant.lock_id not in given_back:
                break
        held = self._held.get(grant.lock_id) or self._add(grant, lock_type, request_id)
        held.blocks += 1
        held.ttl_s = max(held.ttl_s, ttl_s, grant.expires_in_s)
        held.until = max(held.until, asked_at + grant.expires_in_s)
        held.keeper = held.keeper or self._spawn(self._keep(held))
        return held

    def _add(self, grant: LockGrant, lock_type: str, request_id: str) -> Held:
        """Record a new grant and return what holds it; `ttl_s`, `until` and `blocks` are left to the caller to set.

        An EXCLUSIVE grant for the path and region of a held weaker lock replaces that lock's grant, also for the blocks
        that use it: then what held the weaker lock is returned.
        """
        place = (grant.path, grant.region)
        weaker = [old for old in self._held.values() if (old.grant.path, old.grant.region) == place]
        held = next((old for old in weaker if lock_type == "EXCLUSIVE" != old.lock_type), None)
        if held is None:
            held = Held(grant, lock_type, ttl_s=0.0, until=0.0)
        else:
            del self._held[held.grant.lock_id]
            held.grant, held.lock_type = grant, lock_type
        held.requests.append(request_id)
        self._held[grant.lock_id] = held
        return held

    async def leave(self, held: Held) -> None:
        """Leave a block; the last one releases the lock, unless it existed before the first block.

        Raises:
            StaleToken: The lock was lost in the meantime.
            HubUnavailable: The hub did not answer; the lock ends when its lifetime is over.
            AegisError: The hub refused. The block counts as left after each of these errors.
        """
        held.blocks -= 1
        if held.blocks:
            return
        lock_id = held.grant.lock_id
        del self._held[lock_id]
        self._leaving.add(lock_id)
        for given_back in self._entering.values():
            given_back.add(lock_id)
        try:
            await self._give_back(held)
        finally:
            self._leaving.discard(lock_id)

    async def _give_back(self, held: Held) -> None:
        lock_id = held.grant.lock_id
        if held.keeper is not None:
            held.keeper.cancel()
            await asyncio.gather(held.keeper, return_exceptions=True)
        released: set[str] = set()
        for request_id in held.requests:
            released |= set((await self._send("lock:release", request=request_id))["released"])
        if lock_id not in released and (await self._send("heartbeat", held=[lock_id]))["lost"]:
            hint = "acquire the lock again, and read the file again before writing"
            raise StaleToken(
                f"the lock on {held.grant.path} was lost while it was in use", hint, token=held.grant.token
            )

    async def _keep(self, held: Held) -> None:
        """Renew the lock each time a third of its remaining time has passed; a hub that does not answer is asked again.

        Ends when the lock is lost, when the hub refuses because somebody else holds it, or refuses after its time is
        over. Raises nothing of that.
        """
        while True:
            lock_id = held.grant.lock_id
            await asyncio.sleep(max(held.left_s / 3, _SHORTEST_PAUSE_S))
            try:
                await held.renew(self._send, ttl_s=held.ttl_s)
            except StaleToken:
                if held.grant.lock_id == lock_id:
                    return
            except HubUnavailable:
                continue
            except AegisError as error:
                if held.left_s < 0 or (isinstance(error, Refused) and "held_by" in error.data):
                    _log.warning("a lock is not renewed any more", extra={"aegis_error": str(error)})
                    return
