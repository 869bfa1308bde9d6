"""One WebSocket connection: hello, then commands in, replies and events out (contract 7)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, cast

from starlette.websockets import WebSocket, WebSocketDisconnect

from aegis_tui.domain.decision import Actor
from aegis_tui.domain.limit import PENDING, PENDING_BYTES, STREAMS
from aegis_tui.domain.model import SCHEMA_VERSION
from aegis_tui.domain.wire.answer import LockFailed, LockFailedData
from aegis_tui.errors import AegisError, LockHeld, Refused, Unavailable, UsageError
from aegis_tui.hub.batch import Reply, ReplyFuture
from aegis_tui.hub.fanout import Fanout, outgoing
from aegis_tui.hub.frames import EXTENSION, FrameProtocol
from aegis_tui.hub.identity import Identity, Pass, bearer
from aegis_tui.hub.ingress import STREAM_ONLY, Ingress, refusal, refused, reply_object
from aegis_tui.hub.interest import Interest
from aegis_tui.hub.request import check_version, parse_request

HELLO_DEADLINE_S = 3.0
SEND_DEADLINE_S = 30.0
"""A receiver that reads nothing for this many seconds is disconnected; it can resume with `after`."""

CLOSE_UNAUTHORIZED = 1008
CLOSE_TRY_LATER = 1013

_log = logging.getLogger(__name__)


class StreamSession:
    """Serves one accepted connection until it ends; owns its tasks."""

    def __init__(self, websocket: WebSocket, *, identity: Identity, ingress: Ingress, fanout: Fanout) -> None:
        self._websocket = websocket
        self._frames: FrameProtocol = websocket.scope["extensions"][EXTENSION]
        self._identity = identity
        self._ingress = ingress
        self._fanout = fanout
        self._pass: Pass | None = None
        self._pending: dict[asyncio.Future[Any], int] = {}
        self._pending_bytes = 0

    async def serve(self) -> None:
        """Run the connection from accept to close, and return when it is closed; what it still owes is then cancelled.

        A client without a valid token is closed with code 1008, one that has too many connections with 1013.
        """
        await self._websocket.accept()
        try:
            actor = await self._greet()
            if actor is None:
                await self._close(CLOSE_UNAUTHORIZED, "no valid token")
                return
            with self._ingress.door.under_way(actor, STREAMS):
                await self._exchange(actor)
        except Unavailable as error:
            self._fanout.leave(self._subscriber)
            await self._close(CLOSE_TRY_LATER, error.message)
        except (WebSocketDisconnect, TimeoutError):
            pass
        finally:
            self._frames.hand_texts_to(None)
            for item in self._pending:
                item.cancel()
            await asyncio.gather(*self._pending, return_exceptions=True)

    async def _greet(self) -> Actor | None:
        """Identify the client by its header or its first frame, subscribe it, and return who it is.

        With the header it gets all events from now on; with a hello frame, those that the frame names, and a reply.
        None when no valid token arrives within 3 s, or the first frame is no hello. A hello with invalid fields is
        refused, and the connection continues without a subscription.

        Raises:
            WebSocketDisconnect: The client has gone.
        """
        self._pass = self._identity.admit(bearer(self._websocket.headers.get("authorization")))
        if self._pass is not None:
            self._subscriber = self._fanout.join(self._pass.actor)
            self._subscriber.listen(Interest.everything())
            return self._pass.actor
        try:
            async with asyncio.timeout(HELLO_DEADLINE_S):
                frame = await self._receive()
        except (TimeoutError, UsageError):
            return None
        if frame.get("type") != "hello" or not isinstance(frame.get("token"), str):
            return None
        self._pass = self._identity.admit(frame["token"])
        if self._pass is None:
            return None
        self._subscriber = self._fanout.join(self._pass.actor)
        self._tell(_reply_to(frame, self._hello(frame, self._pass.actor)))
        return self._pass.actor

    async def _exchange(self, actor: Actor) -> None:
        sender = asyncio.create_task(self._send_events(), name="hub-stream-out")
        self._frames.hand_texts_to(lambda text: self._take(text, actor))
        receiver = asyncio.create_task(self._receive_rest(), name="hub-stream-in")
        try:
            await asyncio.wait({sender, receiver}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._fanout.leave(self._subscriber)
            for task in (sender, receiver):
                task.cancel()
            for result in await asyncio.gather(sender, receiver, return_exceptions=True):
                if isinstance(result, Exception) and not isinstance(result, (WebSocketDisconnect, TimeoutError)):
                    _log.error("a connection failed", exc_info=result)

    async def _receive(self) -> dict[str, Any]:
        message = await self._websocket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1000))
        if message.get("text") is None:
            raise UsageError("a message must be one JSON object in a text frame", "see /asyncapi.json")
        return parse_request(message["text"])

    async def _receive_rest(self) -> None:
        """Receive the messages that the connection does not hand to `_take`, until it closes.

        They are binary messages, which are answered with a refusal, and text that arrives after this side has begun to
        close the connection: a JSON object in it gets no answer and has no effect, anything else a refusal.

        Raises:
            WebSocketDisconnect: The connection has closed; nothing else ends this.
        """
        while True:
            try:
                await self._receive()
            except UsageError as error:
                self._tell(refusal(None, error))

    def _take(self, text: str, actor: Actor) -> None:
        """Start what one text message of the client asks for, or answer it with a refusal; never raises.

        If the client's token has become invalid, the connection is closed.
        """
        try:
            frame = parse_request(text)
        except UsageError as error:
            self._tell(refusal(None, error))
            return
        if not self._identity.is_current(self._pass):
            gone = Refused(
                "this token is no longer valid",
                "join again: aegis-tui connect --agent KIND --instance ID",
                code="unauthorized",
            )
            self._tell(refusal(frame.get("request_id"), gone))
            self._under_way(asyncio.ensure_future(self._close(CLOSE_UNAUTHORIZED, "the token is no longer valid")))
        elif frame.get("type") in STREAM_ONLY:
            self._tell(_reply_to(frame, self._subscribe(frame, actor)))
        else:
            answer = self._ingress.start(frame, actor, is_plain="\\u" not in text, size=len(text))
            self._under_way(answer, size=len(text), then=partial(self._answer, frame, actor))

    def _answer(self, frame: dict[str, Any], actor: Actor, answer: ReplyFuture) -> None:
        self._done(answer)
        if answer.cancelled():
            return
        try:
            reply = reply_object(frame, answer.result())
        except Exception as error:
            reply, refused_by = refused(frame, error)
            if isinstance(refused_by, LockHeld) and frame.get("type") == "lock:acquire":
                self._tell(self._lock_failed(frame, actor, refused_by))
        self._tell(reply)

    def _under_way(
        self, item: asyncio.Future[Any], *, size: int = 0, then: Callable[[asyncio.Future[Any]], None] | None = None
    ) -> None:
        """Count something as pending until it is done; stop reading from the client when too much is pending.

        Args:
            item: A request to be answered, or a message to be sent.
            size: Its bytes.
            then: Called when it is done, in place of `_done`, which it has to call.
        """
        self._pending[item] = size
        self._pending_bytes += size
        item.add_done_callback(then or self._done)
        if len(self._pending) >= PENDING.most or self._pending_bytes >= PENDING_BYTES.most:
            self._frames.hold()

    def _done(self, item: asyncio.Future[Any]) -> None:
        self._pending_bytes -= self._pending.pop(item, 0)
        if len(self._pending) <= PENDING.most // 2 and self._pending_bytes <= PENDING_BYTES.most // 2:
            self._frames.go_on()

    def _lock_failed(self, frame: dict[str, Any], actor: Actor, error: LockHeld) -> LockFailed:
        """Return the `lock:failed` message for a refused `lock:acquire`; it is no logged event, so it has no `seq`.

        Its `data` has `path` (None if the request names none), the error's `code`, and what the error says of the lock.

        Args:
            frame: The request.
            actor: Its sender, the only one who gets the message.
            error: Why it was refused.
        """
        return {
            "v": SCHEMA_VERSION,
            "type": "lock:failed",
            "agent_id": actor.agent_id,
            "timestamp": self._fanout.engine.timestamp(),
            "data": cast(LockFailedData, {"path": frame.get("path"), "code": error.code, **error.data}),
        }

    def _subscribe(self, frame: dict[str, Any], actor: Actor) -> Reply | AegisError:
        try:
            check_version(frame)
            match frame["type"]:
                case "hello":
                    return self._hello(frame, actor)
                case "subscribe":
                    interest = self._subscriber.interest.with_types(_given(frame, "types", ["*"]))
                    self._subscriber.listen(interest, after=self._after(frame))
                case _:
                    self._subscriber.listen(self._with_path(frame.get("path")))
        except AegisError as error:
            return error
        return {"seq": self._fanout.published_seq}

    def _with_path(self, path: object) -> Interest:
        """Return the subscriber's interest with one more path glob; the subscription itself is not changed.

        An event is wanted if it fits a type or a glob. If the interest is all types and no glob, the type `*` is left
        out, as the glob would narrow nothing; then only events about such paths are wanted.

        Raises:
            UsageError: It is no text, or there are too many globs.
            Refused: It is not a valid glob, or takes too many steps to compile.
        """
        if not isinstance(path, str):
            raise UsageError("path must be a glob, as a string", 'for example "src/**"')
        interest = self._subscriber.interest
        is_first = not interest.globs and interest.types == ("*",)
        return (Interest() if is_first else interest).with_globs([path])

    def _hello(self, frame: dict[str, Any], actor: Actor) -> Reply | AegisError:
        """Subscribe as a hello frame says, and return its reply, or its refusal, which is not raised.

        By default to all event types from now on; `types` selects some; `after` starts after the event of that number.
        `paths` are globs that add to the types: an event is wanted if it is of one of the types or fits a glob, so
        without `types` they narrow nothing. A refused hello changes no subscription.
        """
        try:
            interest = Interest().with_types(_given(frame, "types", ["*"])).with_globs(_given(frame, "paths", []))
            self._subscriber.listen(interest, after=self._after(frame))
        except AegisError as error:
            return error
        return {"type": "hello", "agent_id": actor.agent_id, "seq": self._fanout.published_seq}

    def _after(self, frame: dict[str, Any]) -> int | None:
        after = frame.get("after")
        if after is None:
            return None
        if not isinstance(after, int) or isinstance(after, bool) or after < 0:
            raise UsageError("after must be a whole number, 0 or more", "the seq of the last event you have")
        if after > self._fanout.published_seq:
            raise UsageError(
                f"after: there is no event {after} yet", "read the state again, and use its seq", code="after.unknown"
            )
        return after

    def _tell(self, envelope: Mapping[str, object]) -> None:
        """Send a message at once, or in a task as soon as the receiver keeps up; never waits.

        A receiver that reads nothing for `SEND_DEADLINE_S` (30) seconds is disconnected.
        """
        frame = outgoing(0, envelope).frame
        if not self._frames.write_now(frame):
            self._under_way(asyncio.ensure_future(self._write_or_drop(frame)), size=len(frame))

    async def _write_or_drop(self, frame: bytes) -> None:
        try:
            await self._write(frame)
        except TimeoutError:
            self._frames.abort()

    async def _write(self, frame: bytes) -> None:
        async with asyncio.timeout(SEND_DEADLINE_S):
            await self._frames.send_frame(frame)

    async def _send_events(self) -> None:
        try:
            async for item in self._subscriber.messages(self._frames.write_now):
                await self._write(item.frame)
        except TimeoutError:
            _log.warning("a receiver is too slow", extra={"aegis_instance": self._subscriber.actor.agent_id})
            self._frames.abort()
        except AegisError as error:
            _log.error("events cannot be read", extra={"aegis_error": str(error)})
            await self._close(1011, error.message[:100])

    async def _close(self, code: int, reason: str) -> None:
        with suppress(TimeoutError, RuntimeError, WebSocketDisconnect):
            async with asyncio.timeout(1.0):
                await self._websocket.close(code, reason)


def _given(frame: dict[str, Any], name: str, default: list[str]) -> object:
    """Return a field of a frame, or `default` when it is missing or null; an empty list is returned as it is."""
    value = frame.get(name)
    return default if value is None else value


def _reply_to(frame: dict[str, Any], result: Reply | AegisError) -> Reply:
    if isinstance(result, AegisError):
        return refusal(frame.get("request_id"), result)
    return reply_object(frame, result)
