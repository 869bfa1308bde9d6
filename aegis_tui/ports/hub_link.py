"""An agent's connection to the hub: commands with replies, events, and locks (contract 5 to 7)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class HubEvent:
    """One event of contract 6. `seq` is 0 for events that are not logged."""

    seq: int
    type: str
    agent_id: str
    timestamp: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LockGrant:
    """A granted lock with its fencing token; it lapses `expires_in_s` seconds after the grant unless renewed."""

    lock_id: str
    path: str
    token: int
    expires_in_s: float
    region: str | None = None
    """Lines `10-20` or a dotted symbol name; None when the whole file is locked, which may exceed the request."""


class HubLink(Protocol):
    """One instance's connection to the hub.

    Every method raises the `AegisError` that the hub replied with, or `HubUnavailable` when no hub answers.
    """

    async def command(
        self, command_type: str, /, *, request_id: str | None = None, timeout_s: float | None = None, **fields: Any
    ) -> dict[str, Any]:
        """Send one command and return the hub's reply.

        Args:
            command_type: The type of the command (contract 5), for example `lock:acquire`.
            request_id: Repeat a command under the same id: after a success it gets the same reply again. None: a new
                id.
            timeout_s: Give up after this many seconds; None waits as long as the hub needs.
            fields: The command's fields; those that are None are left out.

        Raises:
            AegisError: The hub refused the command.
            HubUnavailable: No answer within `timeout_s`, or no hub answers.
        """
        ...

    def events(self, *, types: Sequence[str] = (), after: int | None = None) -> AsyncIterator[HubEvent]:
        """Yield events in `seq` order (must-deliver), without end. While no hub answers, this waits and does not raise.

        Args:
            types: The event types wanted; all when empty.
            after: Start with the event after this number; None for those after the stream is opened, which begins when
                the first event is asked for.
        """
        ...

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
        """Acquire a lock on a file or on a part of it, and return it.

        Args:
            path: Relative to the root of the repository.
            lock_type: `EXCLUSIVE`, `SHARED` or `REVIEW`.
            ttl_s: How long the lock lasts unless it is renewed, in seconds; None for the hub's default.
            wait_s: How long to wait for it in the hub's queue, in seconds; with 0, fail at once if it is not free.
            lines: First and last line, counted from 1, both included; None for the whole file.
            symbol: A function or class by its dotted name, in place of `lines`.

        Raises:
            LockHeld: Not granted in time; `data` holds `held_by` and `expires_in_s`.
            PartitionRefused: This instance may not lock the path.
            HubUnavailable: No hub answers.
            AegisError: The hub refused for another reason.
        """
        ...

    async def release_lock(self, lock_id: str, token: int) -> None:
        """Release a lock of this instance; the next instance that waits for it can then get it.

        Args:
            lock_id: From the grant.
            token: Its fencing token, from the grant.

        Raises:
            StaleToken: The lock has ended, or this instance holds it under another token.
            Refused: The lock is one of another instance.
            HubUnavailable: No hub answers.
        """
        ...
