"""The Python client of the hub: what agents, adapters and outside programs use (HUB-6).

It reconnects with back-off, sends unanswered commands again under the same request id, and resumes event streams after
the last event that it delivered, without gap or duplicate.
"""

from __future__ import annotations

import asyncio
import copy
import functools
import os
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from types import TracebackType
from typing import Any, Self

from aegis_tui.errors import AegisError, HubUnavailable
from aegis_tui.ports.hub_link import HubEvent, LockGrant
from aegis_tui.sdk.backoff import Backoff
from aegis_tui.sdk.channel import FIRST_BACKOFF_S, LONGEST_BACKOFF_S, Channel
from aegis_tui.sdk.context import whole_context
from aegis_tui.sdk.discovery import WorkspacePaths
from aegis_tui.sdk.following import Handler, Subscription, event_of, follow_log
from aegis_tui.sdk.holding import Holdings
from aegis_tui.sdk.locate import Locate, fixed, of_here, of_instance, of_workspace
from aegis_tui.sdk.quick import GIVE_UP_S
from aegis_tui.sdk.wire import WIRE_VERSION

OFFLINE_S = 60.0
"""How long a command waits for a hub that does not answer, by default."""


class EnsembleClient:
    """Client of one hub; an async context manager. Implements the port `HubLink`."""

    def __init__(
        self,
        url: str = "",
        *,
        token: str = "",
        locate: Locate | None = None,
        offline_s: float = OFFLINE_S,
        beat_s: float | None = None,
    ) -> None:
        """Store where the hub is; the connection is opened by `connect` or the first command.

        Args:
            url: `unix:/path` or `http://host:port`. Without `url` and `locate`: the hub of the instance that this
                process runs as, else the hub of the current folder's repository, with the person's token.
            token: Decides as whom the commands are sent. Used only with `url`.
            locate: Returns address and token for each new connection; replaces `url` and `token`.
            offline_s: How long a command waits for a hub that does not answer, in seconds.
            beat_s: After `connect`, send a heartbeat this often, in seconds, to keep the instance's session alive.
                With None, something else must do so (`aegis-tui connect`, or commands more often than every 30 s).

        Raises:
            UsageError: Only without `url` and `locate`: as in `from_environment`, if this process runs as an instance.
            GitUnavailable, OSError: Likewise: the current folder is in no repository, or does not exist.
        """
        self._locate: Locate = locate or (fixed(url, token) if url else of_here())
        self._channel = Channel(self._locate, offline_s=offline_s, heard=self._hear, abandoned=self._give_back)
        self._holdings = Holdings(self.command, self._spawn)
        self._beat_s = beat_s
        self._tasks: set[asyncio.Task[None]] = set()
        self._last_words: set[asyncio.Task[None]] = set()
        self._subscriptions: set[Subscription] = set()
        self._beating: asyncio.Task[None] | None = None
        self._closed = asyncio.Event()
        self.cached_context: dict[str, Any] | None = None
        self._cached_at = 0.0

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """Return a client for the instance that this process runs as: AEGIS_HUB and AEGIS_TOKEN_FILE (contract 10).

        Raises:
            UsageError: A variable is missing, or the token file cannot be read.
        """
        return cls(locate=of_instance(environ))

    @classmethod
    def for_workspace(cls, paths: WorkspacePaths, *, offline_s: float = OFFLINE_S) -> Self:
        """Return a client with the person's token for the hub of a workspace; it finds that hub after a restart too."""
        return cls(locate=of_workspace(paths), offline_s=offline_s)

    @property
    def agent_id(self) -> str:
        """The agent id that the hub reads from our token (contract 2); empty before the first connection."""
        return self._channel.agent_id

    async def connect(self) -> Self:
        """Connect now, not with the first command, and start the heartbeats of `beat_s`; `async with` does the same.

        Raises:
            HubUnavailable: No hub answers now, or the client is closed; this does not wait for a hub.
            Refused: The hub does not know the token.
        """
        await self._channel.connected()
        if self._beat_s is not None and self._beating is None:
            self._beating = self._spawn(self._beat(self._beat_s))
        return self

    async def __aenter__(self) -> Self:
        """Connect and return this client; fails as `connect` does."""
        return await self.connect()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connection and end all streams; an error of the block passes through."""
        await self.close()

    async def close(self) -> None:
        """Close the connection, end all tasks and handlers; a stream of `events` ends with the next event.

        Unanswered commands fail with `HubUnavailable`; a lock request among them is withdrawn.
        """
        await self._last_words_said()
        self._closed.set()
        self._channel.refuse_all(HubUnavailable("the client is closed"))
        tasks = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._last_words_said()
        await self._channel.close()

    async def command(
        self, command_type: str, /, *, request_id: str | None = None, timeout_s: float | None = None, **fields: Any
    ) -> dict[str, Any]:
        """Send one command of contract 5 and return its reply.

        Commands are sent in the order of the calls, including those that wait because no hub answers; at most
        `MAX_QUEUED` may wait. If the caller of a `lock:acquire` stops waiting, the request is withdrawn.

        Args:
            command_type: For example `lock:acquire`.
            request_id: Use the same id for a retry, so that the hub executes the command once; by default a new one.
            timeout_s: Give up after this long, in seconds; None waits as long as the hub needs.
            fields: The command's fields; those that are None are left out.

        Raises:
            AegisError: The hub refused; the class is chosen by the error code and exit code of the reply.
            HubUnavailable: No answer within `timeout_s`, no hub for `offline_s`, or the client is closed; with the code
                `hub.queue`: too many commands wait already.
            Refused: The command is over 1 MiB (code `too_large`).
            UsageError: A field has a value that JSON cannot represent.
        """
        chosen = {name: value for name, value in fields.items() if value is not None}
        frame = {"v": WIRE_VERSION, "request_id": request_id or uuid.uuid4().hex, "type": command_type, **chosen}
        if self._closed.is_set():
            raise HubUnavailable("the client is closed")
        try:
            async with asyncio.timeout(timeout_s):
                return await self._channel.ask(frame)
        except asyncio.CancelledError:
            await self._last_words_said()
            raise
        except TimeoutError as error:
            await self._last_words_said()
            raise HubUnavailable(f"no answer to {command_type} in {timeout_s} s", "aegis-tui hub status") from error

    def _give_back(self, frame: dict[str, Any]) -> None:
        """In a task, withdraw a `lock:acquire` whose caller stopped waiting, ignoring errors; ignore others."""
        if frame["type"] == "lock:acquire":
            self._finish(self._withdraw(frame["request_id"]))

    async def _withdraw(self, request_id: str) -> None:
        frame = {"v": WIRE_VERSION, "request_id": uuid.uuid4().hex, "type": "lock:release", "request": request_id}
        with suppress(AegisError):
            await self._channel.ask(frame)

    def _finish(self, job: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Start and return a task that runs on when its caller is cancelled; `close` waits for it at most a second."""
        task = asyncio.create_task(job)
        self._last_words.add(task)
        task.add_done_callback(self._last_words.discard)
        return task

    async def _last_words_said(self) -> None:
        if self._last_words and self._channel.is_connected:
            await asyncio.wait(set(self._last_words), timeout=GIVE_UP_S)

    async def _beat(self, beat_s: float) -> None:
        while True:
            with suppress(AegisError):
                await self.command("heartbeat")
            await asyncio.sleep(beat_s)

    def _spawn(self, job: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.create_task(job)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _hear(self, frame: dict[str, Any]) -> None:
        """Start the handlers that want an event from the connection for commands; ignore any other frame.

        `lock:failed` is sent only there (contract 6).
        """
        event = event_of(frame)
        if event is not None:
            for subscription in list(self._subscriptions):
                if subscription.wants(event):
                    self._spawn(subscription.hand(event))

    def events(
        self, *, types: Sequence[str] = (), after: int | None = None, paths: Sequence[str] = ()
    ) -> AsyncGenerator[HubEvent, None]:
        """Yield events in `seq` order, must-deliver: no gap or duplicate when reconnecting. At most one after `close`.

        Args:
            types: Event types or patterns (`lock:*`, `specs.>`); all events when `types` and `paths` are both empty.
            after: Start after the event with this number; None starts with the events after the stream is opened.
            paths: Globs; events about a matching path are included whatever their type.

        Raises:
            AegisError: With the first event: a type or glob is not valid, the hub refuses the stream, or the address
                cannot be a hub's. If no hub answers, this waits and does not fail.
        """
        backoff = Backoff(FIRST_BACKOFF_S, LONGEST_BACKOFF_S)
        return follow_log(self._locate, backoff, closed=self._closed, types=types, after=after, paths=paths)

    def on(self, pattern: str, handler: Handler) -> Subscription:
        """Call `handler` with each event whose type matches `pattern`, from now on; call the returned object to stop.

        A handler may be async; the next event waits until it has finished. If it raises, the error is logged and the
        next event follows. If the hub refuses the stream later, for example because the token has become invalid, this
        is logged and stored in the result's `error`.

        Args:
            pattern: An event type, or a pattern: `*`, `lock:*`, `specs.*`, `specs.>`. It may match `lock:failed` too,
                which comes only for requests of this client.
            handler: Takes the event; its result is ignored.

        Raises:
            UsageError: `pattern` is not a string of 1 to 100 characters.
            HubUnavailable: The client is closed.
        """
        return self._follow(Subscription(handler, types=[pattern]), types=[pattern])

    def subscribe_file(self, glob: str, handler: Handler) -> Subscription:
        """Call `handler`, as `on` does, with each event about a path that `glob` matches; call the result to stop.

        Raises:
            Refused: The glob is not valid.
            HubUnavailable: The client is closed.
        """
        return self._follow(Subscription(handler, paths=[glob]), paths=[glob])

    def _follow(
        self, subscription: Subscription, *, types: Sequence[str] = (), paths: Sequence[str] = ()
    ) -> Subscription:
        if self._closed.is_set():
            raise HubUnavailable("the client is closed")
        task = self._spawn(subscription.follow(self.events(types=types, paths=paths)))
        self._subscriptions.add(subscription)
        task.add_done_callback(lambda _: self._subscriptions.discard(subscription))
        subscription.begin(task)
        return subscription

    async def acquire_lock(
        self,
        path: str,
        *,
        lock_type: str = "EXCLUSIVE",
        ttl_s: float | None = None,
        wait_s: float = 0.0,
        lines: tuple[int, int] | None = None,
        symbol: str | None = None,
        request_id: str | None = None,
    ) -> LockGrant:
        """Acquire a lock, waiting at most `wait_s` seconds in the hub's queue.

        Args:
            path: Relative to the repository's root.
            lock_type: EXCLUSIVE, SHARED or REVIEW.
            ttl_s: How long the lock lasts unless it is renewed, in seconds; None for the hub's default.
            wait_s: With 0, fail at once when somebody else holds the lock.
            lines: First and last line, 1-based and inclusive; None for the whole file.
            symbol: A function or class by its dotted name, instead of `lines`.
            request_id: The same id for a retry, so that the hub executes the request once; by default a new one.

        Raises:
            LockHeld: Not granted in time; `data` has `held_by` and `expires_in_s`.
            PartitionRefused: This instance may not lock the path.
            UsageError: The path is not valid, or the file has no such lines or symbol.
            HubUnavailable: As `command`, which see for all other errors.
        """
        reply = await self.command(
            "lock:acquire",
            request_id=request_id,
            path=path,
            lock_type=lock_type,
            ttl_s=ttl_s,
            wait_s=wait_s,
            lines=lines,
            symbol=symbol,
        )
        lock = reply["locks"][0]
        return LockGrant(lock["lock_id"], lock["path"], lock["token"], lock["expires_in_s"], lock.get("region"))

    async def renew_lock(self, lock_id: str, token: int, *, ttl_s: float | None = None) -> None:
        """Restart the lock's lifetime: `ttl_s` seconds from now, or as many as it had before if that is None.

        Raises:
            StaleToken: The lock is no longer held under this token, or a write has changed the lines that it covers.
            Refused: Another instance holds it.
            HubUnavailable: As `command`, which see for all others, such as `UsageError` for a `ttl_s` over 600.
        """
        await self.command("lock:renew", lock_id=lock_id, token=token, ttl_s=ttl_s)

    async def release_lock(self, lock_id: str, token: int) -> None:
        """Release the lock.

        Raises:
            StaleToken: The lock is no longer held under this token.
            Refused: Another instance holds it.
            HubUnavailable: As `command`, which see for all other errors.
        """
        await self.command("lock:release", lock_id=lock_id, token=token)

    @asynccontextmanager
    async def lock(
        self,
        path: str,
        *,
        lock_type: str = "EXCLUSIVE",
        wait_s: float = 0.0,
        ttl_s: float = 30.0,
        lines: tuple[int, int] | None = None,
        symbol: str | None = None,
    ) -> AsyncIterator[LockGrant]:
        """Hold a lock during a `with` block: it is renewed at a third of its lifetime and released at the end.

        Blocks of one client that request the same lock share it; the last one releases it. A lock that existed before
        the block, for example acquired by another program with the same token, is kept.

        Args:
            path: Relative to the repository's root.
            lock_type: EXCLUSIVE, SHARED or REVIEW.
            wait_s: With 0, fail at once when somebody else holds the lock.
            ttl_s: How long the lock stays if this program ends without releasing it, in seconds.
            lines: First and last line, 1-based and inclusive.
            symbol: A function or class, instead of `lines`.

        Raises:
            AegisError: At the start: as `acquire_lock`, so `LockHeld` if the lock was not granted within `wait_s`.
            StaleToken: At the end: the lock was lost in the meantime, for example by `lock break`.
            HubUnavailable: Also at the end: no hub answers. If the block itself fails, errors at the end are ignored.
        """
        acquire = functools.partial(
            self._acquire_for, path, lock_type=lock_type, wait_s=wait_s, ttl_s=ttl_s, lines=lines, symbol=symbol
        )
        held = await self._holdings.enter(acquire, lock_type=lock_type, ttl_s=ttl_s)
        try:
            yield held.grant
        except BaseException:
            with suppress(AegisError):
                await asyncio.shield(self._finish(self._holdings.leave(held)))
            raise
        await asyncio.shield(self._finish(self._holdings.leave(held)))

    async def _acquire_for(self, path: str, request_id: str, **wanted: Any) -> LockGrant:
        return await self.acquire_lock(path, request_id=request_id, **wanted)

    async def broadcast_change(self, event: str, /, **data: Any) -> None:
        """Publish an event of the plan, code, review or fix family to all clients, for example `code:writing`.

        Raises:
            AegisError: The hub refuses it, for example because it comes out of order, or no hub answers.
        """
        await self.command("broadcast", event=event, data=data)

    async def update_task_state(
        self, spec_id: str, task_id: str, status: str, *, progress: float = 0.0, note: str | None = None
    ) -> None:
        """Report how far a task of a spec is: a word as `status`, `progress` from 0 to 1. `note` is not recorded.

        Raises:
            AegisError: There is no such spec, it is another instance's, or no hub answers.
        """
        await self.command("task:update", spec_id=spec_id, task_id=task_id, status=status, progress=progress, note=note)

    async def get_shared_context(self, *, max_age_s: float = 0.0) -> dict[str, Any]:
        """Return the SharedContext of contract 6. `cached_context` keeps the last one for times when no hub answers.

        Args:
            max_age_s: Return the last answer if it is younger than this, in seconds; 0 always asks the hub.

        Raises:
            HubUnavailable: The hub is asked and does not answer (see `command`, for other errors too).
        """
        if self.cached_context is None or time.monotonic() - self._cached_at >= max_age_s:
            self.cached_context = await whole_context(self.command)
            self._cached_at = time.monotonic()
        return copy.deepcopy(self.cached_context)
