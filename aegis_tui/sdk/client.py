"""The Python client of the hub: what agents, adapters and outside programs use (HUB-6).

It reconnects with back-off, sends unanswered commands again under the same request id, and resumes event streams from
the last event it handed out, without gap or duplicate.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import os
import random
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from types import TracebackType
from typing import Any, Self

from aegis_tui.errors import AegisError, HubUnavailable
from aegis_tui.ports.hub_link import HubEvent, LockGrant
from aegis_tui.sdk.connection import Connection, open_connection
from aegis_tui.sdk.discovery import WorkspacePaths
from aegis_tui.sdk.locate import Locate, fixed, of_here, of_instance, of_workspace
from aegis_tui.sdk.wire import error_from_wire

OFFLINE_S = 60.0
"""How long a command waits for the hub to come back."""

_log = logging.getLogger(__name__)
_FIRST_BACKOFF_S = 0.05
_LONGEST_BACKOFF_S = 2.0

Handler = Callable[[HubEvent], Awaitable[None] | None]


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
        self._offline_s = offline_s
        self._beat_s = beat_s
        self._connection: Connection | None = None
        self._connecting = asyncio.Lock()
        self._unanswered: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._beating: asyncio.Task[None] | None = None
        self._is_closed = False
        self.agent_id = ""
        """Who the hub says we are (contract 2); known once connected."""
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

    async def connect(self) -> Self:
        """Connect now rather than with the first command; `async with` does the same.

        Raises:
            HubUnavailable: No hub answers.
            Refused: The hub does not know the token.
        """
        await self._connected()
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
        """End all streams and tasks; unanswered commands fail with `HubUnavailable`."""
        self._is_closed = True
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._drop_unanswered(HubUnavailable("the client is closed"))

    async def command(
        self, command_type: str, /, *, request_id: str | None = None, timeout_s: float | None = None, **fields: Any
    ) -> dict[str, Any]:
        """Send one command of contract 5 and return its reply.

        Args:
            command_type: For example `lock:acquire`.
            request_id: Makes a retry of your own recognisable; chosen here when absent.
            timeout_s: Give up after this long, in seconds; None waits as long as the hub needs.
            fields: The command's fields; those that are None are left out.

        Raises:
            AegisError: The hub refused; the class follows the wire's code and exit code.
            HubUnavailable: No answer within `timeout_s`, or no hub for `offline_s`.
        """
        chosen = {name: value for name, value in fields.items() if value is not None}
        frame = {"v": 1, "request_id": request_id or uuid.uuid4().hex, "type": command_type, **chosen}
        try:
            async with asyncio.timeout(timeout_s):
                return await self._until_answered(frame)
        except TimeoutError as error:
            raise HubUnavailable(f"no answer to {command_type} in {timeout_s} s", "aegis-tui hub status") from error

    async def _until_answered(self, frame: dict[str, Any]) -> dict[str, Any]:
        away_since: float | None = None
        backoff_s = _FIRST_BACKOFF_S
        while True:
            try:
                connection = await self._connected()
                away_since = None
                return await self._ask(connection, frame)
            except HubUnavailable as error:
                if error.code != HubUnavailable.code:
                    raise
                away_since = away_since or time.monotonic()
                if self._is_closed or time.monotonic() - away_since > self._offline_s:
                    raise
            await asyncio.sleep(backoff_s * random.uniform(0.5, 1.0))
            backoff_s = min(2 * backoff_s, _LONGEST_BACKOFF_S)

    async def _ask(self, connection: Connection, frame: dict[str, Any]) -> dict[str, Any]:
        request_id = frame["request_id"]
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._unanswered[request_id] = answer
        try:
            await connection.send(frame)
            reply = await answer
        finally:
            if self._unanswered.get(request_id) is answer:
                del self._unanswered[request_id]
            if not answer.cancel() and not answer.cancelled():
                answer.exception()  # seen: the sending may have failed first, and then nobody else asks
        if not reply.get("ok"):
            raise error_from_wire(reply.get("error"))
        return {name: value for name, value in reply.items() if name not in ("v", "ok", "request_id")}

    async def _connected(self) -> Connection:
        async with self._connecting:
            if self._is_closed:
                raise HubUnavailable("the client is closed")
            if self._connection is None:
                connection, _ = await open_connection(await self._locate(), types=())
                self._connection, self.agent_id = connection, connection.agent_id
                self._spawn(self._read_replies(connection))
            return self._connection

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

    async def _read_replies(self, connection: Connection) -> None:
        try:
            while True:
                frame = await connection.receive()
                answer = self._unanswered.get(str(frame.get("request_id")))
                if "ok" in frame and answer is not None and not answer.done():
                    answer.set_result(frame)
        except HubUnavailable as error:
            if self._connection is connection:
                self._connection = None
                self._drop_unanswered(error)
            await connection.close()

    def _drop_unanswered(self, error: HubUnavailable) -> None:
        for answer in self._unanswered.values():
            if not answer.done():
                answer.set_exception(HubUnavailable(error.message, error.hint))

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
        backoff_s = _FIRST_BACKOFF_S
        cursor = after
        wanted = None if not types and not paths else types
        while not self._is_closed:
            try:
                endpoint = await self._locate()
                connection, newest = await open_connection(endpoint, types=wanted, paths=paths, after=cursor)
            except HubUnavailable:
                await asyncio.sleep(backoff_s * random.uniform(0.5, 1.0))
                backoff_s = min(2 * backoff_s, _LONGEST_BACKOFF_S)
                continue
            backoff_s = _FIRST_BACKOFF_S
            cursor = newest if cursor is None else cursor
            try:
                with suppress(HubUnavailable):
                    while True:
                        event = _event_of(await connection.receive())
                        if event is None or 0 < event.seq <= cursor:
                            continue
                        cursor = max(cursor, event.seq)
                        yield event
            finally:
                await connection.close()

    def on(self, pattern: str, handler: Handler) -> Callable[[], None]:
        """Call `handler` with each event whose type fits `pattern`, once the stream is open; the result stops it.

        A handler may be async; events wait for it, in order. One that fails is logged, and the next event comes.
        """
        return self._follow(handler, types=[pattern])

    def subscribe_file(self, glob: str, handler: Handler) -> Callable[[], None]:
        """Call `handler` with each event about a path that matches `glob`, as `on` does; the result stops it."""
        return self._follow(handler, paths=[glob])

    def _follow(self, handler: Handler, *, types: Sequence[str] = (), paths: Sequence[str] = ()) -> Callable[[], None]:
        async def follow() -> None:
            async with aclosing(self.events(types=types, paths=paths)) as events:
                async for event in events:
                    try:
                        if inspect.isawaitable(result := handler(event)):
                            await result
                    except Exception:
                        _log.exception("an event handler failed", extra={"aegis_event": event.type})

        task = self._spawn(follow())

        def stop() -> None:
            task.cancel()

        return stop

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
        """The granted lock, after at most `wait_s` seconds in the hub's queue.

        Args:
            path: From the repository's root.
            lock_type: EXCLUSIVE, SHARED or REVIEW.
            ttl_s: How long it lasts unless renewed, in seconds; the hub's default when None.
            wait_s: 0 fails at once when the lock is held.
            lines: First and last line, 1-based, both in; None is the whole file.
            symbol: A function or class by its dotted name, in place of `lines`.

        Raises:
            LockHeld: Not granted in time; `data` names held_by and expires_in_s.
            PartitionRefused: The path is not this instance's to lock.
        """
        reply = await self.command(
            "lock:acquire", path=path, lock_type=lock_type, ttl_s=ttl_s, wait_s=wait_s, lines=lines, symbol=symbol
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
    async def lock(self, path: str, *, wait_s: float = 0.0, ttl_s: float = 30.0) -> AsyncIterator[LockGrant]:
        """Hold an exclusive lock for a block of code: renewed at a third of its time, released at the end.

        Raises:
            LockHeld: As `acquire_lock`.
            StaleToken: At the end of the block: the lock was lost while it ran, by a `lock break` for example.
        """
        grant = await self.acquire_lock(path, wait_s=wait_s, ttl_s=ttl_s)
        keeper = self._spawn(self._keep(grant, ttl_s))
        try:
            yield grant
        except BaseException:
            await self._let_go(keeper, grant, is_told=False)
            raise
        await self._let_go(keeper, grant, is_told=True)

    async def _keep(self, grant: LockGrant, ttl_s: float) -> None:
        while True:
            await asyncio.sleep(ttl_s / 3)
            with suppress(HubUnavailable):
                await self.renew_lock(grant.lock_id, grant.token, ttl_s=ttl_s)

    async def _let_go(self, keeper: asyncio.Task[None], grant: LockGrant, *, is_told: bool) -> None:
        keeper.cancel()
        await asyncio.gather(keeper, return_exceptions=True)
        try:
            await self.release_lock(grant.lock_id, grant.token)
        except AegisError:
            if is_told:
                raise

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
            self.cached_context = await self.command("context:get")
            self._cached_at = time.monotonic()
        return self.cached_context


def _event_of(frame: dict[str, Any]) -> HubEvent | None:
    """The event in a frame; None for a reply, a `resync` note and the like."""
    if "data" not in frame or "type" not in frame or "ok" in frame:
        return None
    data = frame["data"]
    seq = frame.get("seq") or (data.get("seq", 0) if frame["type"] == "context:sync" else 0)
    return HubEvent(seq, frame["type"], frame.get("agent_id", ""), frame.get("timestamp", ""), data)
