"""The Python client of the hub: what agents, adapters and outside programs use (HUB-6).

It reconnects with back-off, sends unanswered commands again under the same request id, and resumes event streams from
the last event it handed out, without gap or duplicate.
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
from aegis_tui.sdk.connection import open_connection
from aegis_tui.sdk.context import whole_context
from aegis_tui.sdk.discovery import WorkspacePaths
from aegis_tui.sdk.following import Handler, Subscription, check_patterns, event_of
from aegis_tui.sdk.holding import Holdings
from aegis_tui.sdk.locate import Locate, fixed, of_here, of_instance, of_workspace
from aegis_tui.sdk.quick import GIVE_UP_S
from aegis_tui.sdk.wire import WIRE_VERSION

OFFLINE_S = 60.0
"""How long a command waits for the hub to come back."""


class EnsembleClient:
    """One client of one hub, as an async context manager. Implements the port `HubLink`."""

    def __init__(
        self,
        url: str = "",
        *,
        token: str = "",
        locate: Locate | None = None,
        offline_s: float = OFFLINE_S,
        beat_s: float | None = None,
    ) -> None:
        """Name the hub; nothing is opened yet.

        Args:
            url: `unix:/path` or `http://host:port`. When it and `locate` are left out: the hub of the instance that
                this process runs as, else that of the repository of the present folder, as the person.
            token: Whose commands these are.
            locate: Finds url and token anew for each connection, in place of the two above.
            offline_s: How long a command waits for a hub that is away, in seconds.
            beat_s: Keep the instance's session alive by a heartbeat this often, in seconds; None leaves that to others
                (`aegis-tui connect`, or commands more often than every 30 s).

        Raises:
            UsageError: As `from_environment`, when this process runs as an instance.
            GitUnavailable: Nothing is named, and the present folder is in no repository.
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
        """The client of the instance that this process runs as: AEGIS_HUB and AEGIS_TOKEN_FILE (contract 10).

        Raises:
            UsageError: A variable is missing, or the token file cannot be read.
        """
        return cls(locate=of_instance(environ))

    @classmethod
    def for_workspace(cls, paths: WorkspacePaths, *, offline_s: float = OFFLINE_S) -> Self:
        """The person's client of the hub that runs for a workspace, also after that hub was restarted."""
        return cls(locate=of_workspace(paths), offline_s=offline_s)

    @property
    def agent_id(self) -> str:
        """Who the hub says we are (contract 2); known once connected."""
        return self._channel.agent_id

    async def connect(self) -> Self:
        """Connect now rather than with the first command; `async with` does the same.

        Raises:
            HubUnavailable: No hub answers.
            Refused: The hub does not know the token.
        """
        await self._channel.connected()
        if self._beat_s is not None and self._beating is None:
            self._beating = self._spawn(self._beat(self._beat_s))
        return self

    async def __aenter__(self) -> Self:
        """Connect, as `connect` does."""
        return await self.connect()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        await self.close()

    async def close(self) -> None:
        """End all streams and tasks; unanswered commands fail with `HubUnavailable`, and no lock is waited for."""
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

        Commands are sent in the order of the calls, also those that wait for a hub that is away; at most `MAX_QUEUED`
        wait. A `lock:acquire` that nobody waits for any more is withdrawn.

        Args:
            command_type: For example `lock:acquire`.
            request_id: Makes a retry of your own recognisable; chosen here when absent.
            timeout_s: Give up after this long, in seconds; None waits as long as the hub needs.
            fields: The command's fields; those that are None are left out.

        Raises:
            AegisError: The hub refused; the class follows the wire's code and exit code.
            HubUnavailable: No answer within `timeout_s`, or no hub for `offline_s`; with the code `hub.queue`, too many
                wait for it.
            Refused: Code `too_large`: over 1 MiB.
            UsageError: A field holds what JSON cannot.
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
        """Nobody waits for the answer to that command any more: a lock must not be granted to nobody (HUB-6)."""
        if frame["type"] == "lock:acquire":
            self._finish(self._withdraw(frame["request_id"]))

    async def _withdraw(self, request_id: str) -> None:
        frame = {"v": WIRE_VERSION, "request_id": uuid.uuid4().hex, "type": "lock:release", "request": request_id}
        with suppress(AegisError):
            await self._channel.ask(frame)

    def _finish(self, job: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Start what should come to its end even when its asker is cancelled."""
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
        """`lock:failed` comes to the asker alone, between the replies (contract 6)."""
        event = event_of(frame)
        if event is not None:
            for subscription in list(self._subscriptions):
                if subscription.wants(event):
                    self._spawn(subscription.hand(event))

    async def events(
        self, *, types: Sequence[str] = (), after: int | None = None, paths: Sequence[str] = ()
    ) -> AsyncGenerator[HubEvent, None]:
        """Events in `seq` order, for ever, over reconnects without gap or duplicate. Must-deliver.

        Args:
            types: Names, `lock:*`, `specs.>`; all types when this and `paths` are empty.
            after: Begin after this event of the log; None begins with what happens once the stream is open.
            paths: Globs; events about a matching path come whatever their type.

        Raises:
            AegisError: The hub refuses the stream; a hub that is away is waited for.
        """
        check_patterns(types, paths)
        backoff = Backoff(FIRST_BACKOFF_S, LONGEST_BACKOFF_S)
        cursor = after
        wanted = None if not types and not paths else types
        while not self._closed.is_set():
            try:
                endpoint = await self._locate()
                connection, newest = await open_connection(endpoint, types=wanted, paths=paths, after=cursor)
            except HubUnavailable as error:
                if error.code != HubUnavailable.code:
                    raise
                await asyncio.sleep(backoff.next_s())
                continue
            backoff.reset()
            cursor = newest if cursor is None else cursor
            try:
                with suppress(HubUnavailable):
                    while True:
                        event = event_of(await connection.receive())
                        if event is None or 0 < event.seq <= cursor:
                            continue
                        cursor = max(cursor, event.seq)
                        yield event
                        if self._closed.is_set():
                            return
            finally:
                await connection.close()

    def on(self, pattern: str, handler: Handler) -> Subscription:
        """Call `handler` with each event whose type fits `pattern`, once the stream is open; the result stops it.

        A handler may be async; events wait for it, in order. One that fails is logged, and the next event comes.
        `lock:failed` comes for the requests of this client. Where the hub refuses the stream later on, for example
        because the token is no longer valid, that is logged and stands in the result's `error`.

        Raises:
            UsageError: `pattern` is no text of 1 to 100 characters.
            HubUnavailable: The client is closed.
        """
        return self._follow(Subscription(handler, types=[pattern]), types=[pattern])

    def subscribe_file(self, glob: str, handler: Handler) -> Subscription:
        """Call `handler` with each event about a path that matches `glob`, as `on` does; the result stops it.

        Raises:
            Refused: The glob cannot be used.
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
        """The granted lock, after at most `wait_s` seconds in the hub's queue.

        Args:
            path: From the repository's root.
            lock_type: EXCLUSIVE, SHARED or REVIEW.
            ttl_s: How long it lasts unless renewed, in seconds; the hub's default when None.
            wait_s: 0 fails at once when the lock is held.
            lines: First and last line, 1-based, both in; None is the whole file.
            symbol: A function or class by its dotted name, in place of `lines`.
            request_id: As for `command`.

        Raises:
            LockHeld: Not granted in time; `data` names held_by and expires_in_s.
            PartitionRefused: The path is not this instance's to lock.
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
        """Start the lock's time again.

        Raises:
            StaleToken: The lock is no longer held under this token.
        """
        await self.command("lock:renew", lock_id=lock_id, token=token, ttl_s=ttl_s)

    async def release_lock(self, lock_id: str, token: int) -> None:
        """Give the lock back.

        Raises:
            StaleToken: The lock is no longer held under this token.
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
        """Hold a lock for a block of code: renewed at a third of its time, released at the end.

        Blocks of one client that get the same lock share it, and the last one gives it back. A lock that was there
        before the block, of another program with this identity for example, is left as it was.

        Args:
            path: As for `acquire_lock`, like the others.
            lock_type: EXCLUSIVE, SHARED or REVIEW.
            wait_s: 0 fails at once when the lock is held.
            ttl_s: How long it outlives this program, in seconds.
            lines: First and last line, 1-based, both in.
            symbol: A function or class, in place of `lines`.

        Raises:
            LockHeld: As `acquire_lock`.
            StaleToken: At the end of the block: the lock was lost while it ran, by a `lock break` for example.
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
        """Tell everybody of an event of the plan, code, review or fix family, `code:writing` for example."""
        await self.command("broadcast", event=event, data=data)

    async def update_task_state(
        self, spec_id: str, task_id: str, status: str, *, progress: float = 0.0, note: str | None = None
    ) -> None:
        """Say how far one task of a spec is; `progress` is from 0 to 1."""
        await self.command("task:update", spec_id=spec_id, task_id=task_id, status=status, progress=progress, note=note)

    async def get_shared_context(self, *, max_age_s: float = 0.0) -> dict[str, Any]:
        """The SharedContext of contract 6; `cached_context` keeps it for when the hub is away.

        Args:
            max_age_s: An answer this old will do, in seconds; 0 asks the hub.
        """
        if self.cached_context is None or time.monotonic() - self._cached_at >= max_age_s:
            self.cached_context = await whole_context(self.command)
            self._cached_at = time.monotonic()
        return copy.deepcopy(self.cached_context)
