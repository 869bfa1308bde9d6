"""The connection that carries a client's commands: in order, over reconnects, each until it is answered (HUB-6).

Commands that are given while no hub answers are queued and sent in the same order later. All share one back-off.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aegis_tui.errors import HubUnavailable, Refused
from aegis_tui.sdk.backoff import Backoff
from aegis_tui.sdk.connection import Connection, open_connection
from aegis_tui.sdk.locate import Locate
from aegis_tui.sdk.wire import encode_frame, error_from_wire

MAX_QUEUED = 1_000
"""How many commands may wait while no hub answers; further ones fail with the code `hub.queue`."""

FIRST_BACKOFF_S = 0.05
LONGEST_BACKOFF_S = 2.0
STEADY_S = 1.0
"""If a connection ends sooner than this after a command was sent on it, the hub does not count as back."""

Frame = dict[str, Any]


@dataclass(slots=True, eq=False)
class _Asked:
    """One command without an answer."""

    frame: Frame
    text: str
    answer: asyncio.Future[Frame]
    askers: int = 0
    is_sent: bool = False
    """Whether it was sent on the current connection."""
    sent_at: float | None = None
    away_since: float | None = None
    timer: asyncio.TimerHandle | None = field(default=None, repr=False)

    def fail(self, error: Exception) -> None:
        self.stop_timer()
        if not self.answer.done():
            self.answer.set_exception(error)
            self.answer.exception()

    def stop_timer(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None


class Channel:
    """Sends commands to the hub and receives their replies, over one connection at a time."""

    def __init__(
        self,
        locate: Locate,
        *,
        offline_s: float,
        heard: Callable[[Frame], None],
        abandoned: Callable[[Frame], None],
    ) -> None:
        """Store the settings; the connection is opened by the first command.

        Args:
            locate: Returns the hub's address and token; called for each connection.
            offline_s: How long a command waits for a hub that does not answer, in seconds.
            heard: Called with each received frame that is not a reply.
            abandoned: Called with each command that was sent but whose caller stopped waiting for the answer.
        """
        self._locate = locate
        self._offline_s = offline_s
        self._heard = heard
        self._abandoned = abandoned
        self._connection: Connection | None = None
        self._connecting = asyncio.Lock()
        self._asked: dict[str, _Asked] = {}
        self._carrier: asyncio.Task[None] | None = None
        self._readers: set[asyncio.Task[None]] = set()
        self._backoff = Backoff(FIRST_BACKOFF_S, LONGEST_BACKOFF_S)
        self._trouble: HubUnavailable | None = None
        self._is_closed = False
        self.agent_id = ""

    @property
    def is_connected(self) -> bool:
        """Whether a connection is open, as far as is known; a lost one may be noticed late."""
        return self._connection is not None

    async def connected(self) -> Connection:
        """Return the open connection; open one if there is none.

        Raises:
            HubUnavailable: No hub answers now, or the channel is closed; with the code `hub.address`: the address can
                never be a hub's.
            Refused: The hub does not know the token.
            AegisError: Any other error of `locate`.
        """
        async with self._connecting:
            if self._is_closed:
                raise _closed()
            if self._connection is None:
                connection, _ = await open_connection(await self._locate(), types=())
                self._connection, self.agent_id, self._trouble = connection, connection.agent_id, None
                reader = asyncio.create_task(self._read(connection))
                self._readers.add(reader)
                reader.add_done_callback(self._readers.discard)
            return self._connection

    async def ask(self, frame: Frame) -> Frame:
        """Send a command, again after each lost connection, and return its reply without `v`, `ok` and `request_id`.

        Args:
            frame: The whole command, with its `request_id`. While one with this id has no answer, a second call waits
                with it.

        Raises:
            AegisError: The hub refused the command.
            HubUnavailable: No hub answered for `offline_s`, or the channel is closed; with the code `hub.queue`: too
                many commands wait already.
            Refused: The frame is too large.
            UsageError: It holds a value that JSON cannot represent.
        """
        request_id = frame["request_id"]
        asked = self._asked.get(request_id) or self._take(frame)
        asked.askers += 1
        reply: Frame | None = None
        try:
            if not asked.is_sent and self._carrier is None and self._connection is not None:
                await self._send(self._connection, asked)
            elif not asked.is_sent:
                self._seek()
            reply = await asyncio.shield(asked.answer)
        finally:
            asked.askers -= 1
            if not asked.askers:
                self._forget(asked, is_answered=reply is not None)
        if not reply.get("ok"):
            raise error_from_wire(reply.get("error"))
        return {name: value for name, value in reply.items() if name not in ("v", "ok", "request_id")}

    def refuse_all(self, error: HubUnavailable) -> None:
        """Let every command without an answer fail with `error`, and call `abandoned` with those that were sent.

        Commands that are given later are not concerned.
        """
        for asked in list(self._asked.values()):
            asked.fail(error)
            self._forget(asked, is_answered=False)

    async def close(self) -> None:
        """Close the connection for good; unanswered and later commands fail with `HubUnavailable`."""
        self._is_closed = True
        self.refuse_all(_closed())
        connection, self._connection = self._connection, None
        tasks = [*self._readers, *([self._carrier] if self._carrier else [])]
        for task in tasks:
            task.cancel()
        if connection is not None:
            await connection.close()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _take(self, frame: Frame) -> _Asked:
        if self._is_closed:
            raise _closed()
        if self._connection is None and len(self._asked) >= MAX_QUEUED:
            raise HubUnavailable(
                f"{MAX_QUEUED} commands are already waiting for the hub",
                "wait for some of the answers",
                code="hub.queue",
            )
        asked = _Asked(frame, encode_frame(frame), asyncio.get_running_loop().create_future())
        self._asked[frame["request_id"]] = asked
        if self._connection is None:
            self._note_away(asked)
        return asked

    def _forget(self, asked: _Asked, *, is_answered: bool) -> None:
        asked.stop_timer()
        request_id = asked.frame["request_id"]
        if self._asked.get(request_id) is not asked:
            return
        del self._asked[request_id]
        if asked.sent_at is not None and not is_answered:
            self._abandoned(asked.frame)

    def _note_away(self, asked: _Asked) -> None:
        """Mark a command as unsent, and let it fail once no hub has answered for `offline_s`.

        That time began when the connection was lost first. It begins anew only if the connection that was lost now
        lasted for at least a second after the command was sent.
        """
        now = time.monotonic()
        if asked.away_since is None or (asked.sent_at is not None and now - asked.sent_at >= STEADY_S):
            asked.away_since = now
        asked.is_sent = False
        self._start_timer(asked, asked.away_since)

    def _start_timer(self, asked: _Asked, away_since: float) -> None:
        asked.stop_timer()
        # The first attempt must end first: only then is there an error to report.
        patience_s = max(self._offline_s, STEADY_S) if self._trouble is None else self._offline_s
        left_s = max(away_since + patience_s - time.monotonic(), 0.0)
        asked.timer = asyncio.get_running_loop().call_later(left_s, self._give_up, asked)

    def _give_up(self, asked: _Asked) -> None:
        if not asked.is_sent:
            asked.fail(self._trouble or HubUnavailable("the hub does not answer", "aegis-tui hub status"))

    def _seek(self, *, is_retry: bool = False) -> None:
        """Start the task that sends the unsent commands, unless it runs, there are none, or the channel is closed.

        Args:
            is_retry: Pause before the first attempt, too.
        """
        if self._carrier is None and not self._is_closed and self._unsent():
            self._carrier = asyncio.create_task(self._carry(is_retry=is_retry))

    def _unsent(self) -> list[_Asked]:
        return [asked for asked in self._asked.values() if not asked.is_sent and not asked.answer.done()]

    async def _carry(self, *, is_retry: bool) -> None:
        try:
            while not self._is_closed and self._unsent():
                if is_retry:
                    await self._pause()
                is_retry = True
                try:
                    connection = await self.connected()
                    for asked in self._unsent():
                        await self._send(connection, asked)
                    is_retry = self._connection is not connection
                except Exception as error:
                    self._note_trouble(error)
        finally:
            self._carrier = None

    async def _pause(self) -> None:
        await asyncio.sleep(self._backoff.next_s())

    def _note_trouble(self, error: Exception) -> None:
        """Let all unsent commands fail with `error`.

        If it says that no hub answers, only those that have waited `offline_s`. It is kept as the reason for commands
        that fail later.
        """
        is_away = isinstance(error, HubUnavailable) and error.code == HubUnavailable.code
        if isinstance(error, HubUnavailable):
            self._trouble = error
        now = time.monotonic()
        for asked in self._unsent():
            away_since = now if asked.away_since is None else asked.away_since
            if is_away and now - away_since < self._offline_s:
                self._start_timer(asked, away_since)
            else:
                asked.fail(error)

    async def _send(self, connection: Connection, asked: _Asked) -> None:
        if connection is not self._connection or asked.answer.done():
            return
        asked.is_sent = True
        asked.sent_at = time.monotonic()
        asked.stop_timer()
        try:
            await connection.send(asked.text)
        except HubUnavailable as error:
            self._lose(connection, error)

    async def _read(self, connection: Connection) -> None:
        try:
            while True:
                frame = await connection.receive()
                if "ok" in frame:
                    self._answer(frame)
                else:
                    self._heard(frame)
        except HubUnavailable as error:
            self._lose(connection, error)
            await connection.close()

    def _answer(self, frame: Frame) -> None:
        asked = self._asked.get(str(frame.get("request_id")))
        if asked is None and frame.get("locks"):
            # To lock a region the hub reads files first, so the withdrawal may have arrived before the lock was
            # granted.
            self._abandoned({"type": "lock:acquire", "request_id": frame.get("request_id")})
        if asked is None or asked.answer.done():
            return
        error = None if frame["ok"] else error_from_wire(frame.get("error"))
        if isinstance(error, HubUnavailable) and error.code == HubUnavailable.code:
            self._trouble = error
            self._note_away(asked)
            self._seek(is_retry=True)
        else:
            self._backoff.reset()
            asked.answer.set_result(frame)

    def _lose(self, connection: Connection, error: HubUnavailable) -> None:
        if self._connection is not connection:
            return
        self._connection, self._trouble = None, error
        sent = [asked for asked in self._asked.values() if asked.is_sent and not asked.answer.done()]
        if connection.is_refused and sent:
            largest = max(sent, key=lambda asked: len(asked.text))
            words = f"the hub closed the connection because of a frame of {len(largest.text)} bytes"
            largest.fail(Refused(words, "send less at once", code="too_large"))
        for asked in sent:
            if not asked.answer.done():
                self._note_away(asked)
        self._seek(is_retry=True)


def _closed() -> HubUnavailable:
    return HubUnavailable("the client is closed")
