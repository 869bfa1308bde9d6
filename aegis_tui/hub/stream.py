"""One WebSocket connection: hello, then commands in, replies and events out (contract 7)."""

from __future__ import annotations

import asyncio
import json
import logging
from contextlib import suppress
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from aegis_tui.domain.decision import Actor
from aegis_tui.domain.model import SCHEMA_VERSION
from aegis_tui.errors import AegisError, LockHeld, Refused, UsageError
from aegis_tui.hub.fanout import Fanout, Outgoing, outgoing
from aegis_tui.hub.frames import EXTENSION, FrameProtocol
from aegis_tui.hub.identity import Identity, bearer
from aegis_tui.hub.ingress import Ingress, refusal
from aegis_tui.hub.interest import Interest

HELLO_DEADLINE_S = 3.0
SEND_DEADLINE_S = 30.0
"""A receiver that takes nothing for this long is dropped; it resumes by `after`."""
MAX_PENDING_COMMANDS = 256

CLOSE_UNAUTHORIZED = 1008

_log = logging.getLogger(__name__)


class StreamSession:
    """Serves one accepted connection until it ends; owns its tasks."""

    def __init__(self, websocket: WebSocket, *, identity: Identity, ingress: Ingress, fanout: Fanout) -> None:
        self._websocket = websocket
        self._frames: FrameProtocol = websocket.scope["extensions"][EXTENSION]
        self._identity = identity
        self._ingress = ingress
        self._fanout = fanout
        self._token: str | None = None
        self._pending: set[asyncio.Task[None]] = set()

    async def serve(self) -> None:
        """Run the connection from accept to close."""
        await self._websocket.accept()
        try:
            actor = await self._greet()
            if actor is None:
                await self._close(CLOSE_UNAUTHORIZED, "no valid token")
                return
            await self._exchange(actor)
        except (WebSocketDisconnect, TimeoutError):
            pass
        finally:
            for task in self._pending:
                task.cancel()
            await asyncio.gather(*self._pending, return_exceptions=True)

    async def _greet(self) -> Actor | None:
        """Who this is, by header or by the first frame."""
        self._token = bearer(self._websocket.headers.get("authorization"))
        if actor := self._identity.resolve(self._token):
            self._subscriber = self._fanout.join(actor)
            self._subscriber.listen(Interest.everything())
            return actor
        try:
            async with asyncio.timeout(HELLO_DEADLINE_S):
                frame = await self._receive()
        except (TimeoutError, UsageError):
            return None
        if frame.get("type") != "hello" or not isinstance(frame.get("token"), str):
            return None
        self._token = frame["token"]
        actor = self._identity.resolve(self._token)
        if actor is not None:
            self._subscriber = self._fanout.join(actor)
            await self._reply(frame, self._hello(frame, actor))
        return actor

    async def _exchange(self, actor: Actor) -> None:
        sender = asyncio.create_task(self._send_events(), name="hub-stream-out")
        receiver = asyncio.create_task(self._receive_commands(actor), name="hub-stream-in")
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
        try:
            frame = json.loads(message.get("text") or "")
        except (ValueError, RecursionError) as error:
            raise UsageError("a message must be one JSON object in a text frame", "see /asyncapi.json") from error
        if not isinstance(frame, dict):
            raise UsageError("a message must be one JSON object", "see /asyncapi.json")
        return frame

    async def _receive_commands(self, actor: Actor) -> None:
        while True:
            try:
                frame = await self._receive()
            except UsageError as error:
                await self._send(refusal(None, error))
                continue
            if self._identity.resolve(self._token) != actor:
                gone = Refused("this token is no longer valid", "register again", code="unauthorized")
                await self._send(refusal(frame.get("request_id"), gone))
                await self._close(CLOSE_UNAUTHORIZED, "the token is no longer valid")
                return
            if frame.get("type") in ("hello", "subscribe", "file:subscribe"):
                await self._reply(frame, self._subscribe(frame, actor))
                continue
            if len(self._pending) >= MAX_PENDING_COMMANDS:
                await asyncio.wait(self._pending, return_when=asyncio.FIRST_COMPLETED)
            task = asyncio.create_task(self._answer(frame, actor))
            self._pending.add(task)
            task.add_done_callback(self._pending.discard)

    async def _answer(self, frame: dict[str, Any], actor: Actor) -> None:
        reply, error = await self._ingress.answer(frame, actor)
        if isinstance(error, LockHeld) and frame.get("type") == "lock:acquire":
            await self._send(self._lock_failed(frame, actor, error))
        await self._send(reply)

    def _lock_failed(self, frame: dict[str, Any], actor: Actor, error: LockHeld) -> dict[str, Any]:
        """The one event without a seq: it goes to the asker only (contract 6)."""
        return {
            "v": SCHEMA_VERSION,
            "type": "lock:failed",
            "agent_id": actor.agent_id,
            "timestamp": self._fanout.engine.timestamp(),
            "data": {"path": frame.get("path"), "code": error.code, **error.data},
        }

    def _subscribe(self, frame: dict[str, Any], actor: Actor) -> dict[str, Any] | AegisError:
        try:
            match frame["type"]:
                case "hello":
                    return self._hello(frame, actor)
                case "subscribe":
                    interest = self._subscriber.interest.with_types(frame.get("types") or ["*"])
                    self._subscriber.listen(interest, after=self._after(frame))
                case _:
                    interest = self._subscriber.interest
                    is_first = not interest.globs and interest.types == ("*",)
                    base = Interest() if is_first else interest
                    self._subscriber.listen(base.with_glob(str(frame.get("path"))))
        except AegisError as error:
            return error
        return {"seq": self._fanout.published_seq}

    def _hello(self, frame: dict[str, Any], actor: Actor) -> dict[str, Any] | AegisError:
        """Events of all types from now on, or from `after`; `types` narrows them, `paths` adds globs."""
        types = frame.get("types")
        try:
            interest = Interest.everything() if types is None else Interest().with_types(types)
            for glob in frame.get("paths") or ():
                interest = interest.with_glob(str(glob))
            self._subscriber.listen(interest, after=self._after(frame))
        except AegisError as error:
            return error
        except TypeError:
            return UsageError("types and paths are lists of texts", 'for example ["lock:*"]')
        return {"type": "hello", "agent_id": actor.agent_id, "seq": self._fanout.published_seq}

    def _after(self, frame: dict[str, Any]) -> int | None:
        after = frame.get("after")
        if after is None:
            return None
        if not isinstance(after, int) or isinstance(after, bool) or after < 0:
            raise UsageError("after: a whole number from 0", "the seq of the last event you have")
        if after > self._fanout.published_seq:
            raise UsageError(
                f"after: there is no event {after} yet", "start again from the state", code="after.unknown"
            )
        return after

    async def _reply(self, frame: dict[str, Any], result: dict[str, Any] | AegisError) -> None:
        request_id = frame.get("request_id")
        if isinstance(result, AegisError):
            await self._send(refusal(request_id, result))
        else:
            await self._send({"v": SCHEMA_VERSION, "request_id": request_id, "ok": True, **result})

    async def _send(self, envelope: dict[str, Any]) -> None:
        await self._write(outgoing(0, envelope))

    async def _write(self, item: Outgoing) -> None:
        async with asyncio.timeout(SEND_DEADLINE_S):
            await self._frames.send_frame(item.frame)

    async def _send_events(self) -> None:
        try:
            async for item in self._subscriber.messages(self._frames.write_now):
                await self._write(item)
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
