"""Turn a client's JSON object into a command and its result into a reply: the same for REST, WebSocket and MCP."""

from __future__ import annotations

import asyncio
import json
import logging
import uuid
from collections.abc import Awaitable, Callable, Sequence
from itertools import chain
from typing import Any, Final

from aegis_tui.domain.code_map.commands import MapAsk
from aegis_tui.domain.command import AnyCommand, ContextGet, parse_command
from aegis_tui.domain.decision import Actor
from aegis_tui.domain.instance.commands import AgentRegister, Heartbeat, InstanceAnswer
from aegis_tui.domain.lock.commands import LockAcquire, LockNews, LockRelease
from aegis_tui.domain.message.commands import BroadcastSend
from aegis_tui.domain.model import SCHEMA_VERSION, CommandData
from aegis_tui.domain.page import section_page
from aegis_tui.domain.rehearsal import rehearsal_of
from aegis_tui.domain.review.commands import ReviewRequest
from aegis_tui.domain.run.commands import DesignAgree, DesignPropose, RunStart
from aegis_tui.domain.scope.commands import PartitionSet
from aegis_tui.domain.spec.commands import SpecRescan
from aegis_tui.errors import AegisError, Refused, UsageError
from aegis_tui.hub.batch import Reply, ReplyFuture
from aegis_tui.hub.engine import Engine
from aegis_tui.hub.identity import Identity
from aegis_tui.hub.rate import Door
from aegis_tui.hub.request import check_request_id, check_version
from aegis_tui.hub.token_files import TokenFiles
from aegis_tui.ports.event_log import RequestKey
from aegis_tui.sdk.discovery import WorkspacePaths
from aegis_tui.sdk.wire import error_to_wire

_log = logging.getLogger(__name__)

MAX_DEPTH = 64
"""How deeply lists and objects of a command may be nested, so that every client can parse the logged events."""

STREAM_ONLY = ("hello", "subscribe", "file:subscribe")

_HUBS_OWN: dict[type[CommandData], tuple[str, ...]] = {
    RunStart: ("run", "facts", "spec", "specs"),
    LockAcquire: ("pinned", "whole"),
    LockNews: ("copies",),
    BroadcastSend: ("rewrite",),
    MapAsk: ("answer",),
    SpecRescan: ("answer",),
    ReviewRequest: ("part",),
    InstanceAnswer: ("delivery",),
}
"""The fields that only the hub may fill in, before a command is decided."""

_ANSWERED_WITH_MORE = (ContextGet, AgentRegister)
"""Commands whose replies hold data that the core does not know."""

_COMPARED = (AgentRegister, PartitionSet, RunStart, DesignPropose, DesignAgree)
"""Commands whose rules compare globs."""

Prepare = Callable[[AnyCommand, Actor], Awaitable[AnyCommand] | None]
"""Fills in fields that only the hub knows, before a command is decided; None if there is nothing to fill in."""

_NOT_AT_ONCE: Final = frozenset((*_ANSWERED_WITH_MORE, *_COMPARED))
"""All others are queued as soon as they arrive."""


class Ingress:
    """Answers client requests; a refusal becomes a reply too."""

    def __init__(
        self,
        engine: Engine,
        identity: Identity,
        paths: WorkspacePaths,
        *,
        prepare: Sequence[Prepare] = (),
        door: Door | None = None,
    ) -> None:
        self._engine = engine
        self._identity = identity
        self._tokens = TokenFiles(engine, identity, paths)
        self._prepare = prepare
        self.door = door or Door()
        self._rehearsing = asyncio.Lock()
        self._filled_in: dict[RequestKey, asyncio.Event] = {}
        """Requests that are being filled in, with an event that is set once they are in the queue."""

    async def answer(self, frame: dict[str, Any], actor: Actor, *, size: int = 0) -> tuple[Reply, AegisError | None]:
        """Answer one command: return the reply for the client, and the error if refused, else None. Never raises.

        The reply has `v`, `request_id`, `ok`, and the fields of the answer, or `error` if it was refused.

        Args:
            frame: The client's JSON object.
            actor: Who sends it.
            size: The size of the request in bytes, which counts towards the sender's limit.
        """
        waiting = self.start(frame, actor, size=size)
        try:
            return reply_object(frame, await waiting), None
        except Exception as error:
            return refused(frame, error)

    def start(self, frame: dict[str, Any], actor: Actor, *, is_plain: bool = False, size: int = 0) -> ReplyFuture:
        """Start one command, in the order of calls; the future gets the reply's fields or the refusal. Never raises.

        Args:
            frame: The client's JSON object.
            actor: Who sends it.
            is_plain: The text of the frame had no escape sequence, so it cannot hold unpaired surrogates.
            size: The size of the request in bytes, which counts towards the sender's limit.
        """
        try:
            self.door.take(actor, size)
            request_id, fields = split_frame(frame, is_plain=is_plain)
            command: AnyCommand = parse_command(fields)
            if type(command) is Heartbeat:
                return asyncio.ensure_future(self._engine.heartbeat(actor, command))
            _check_unfilled(command)
            if type(command) is LockRelease and (ahead := self._filled_in.get((actor.agent_id, command.request or ""))):
                return asyncio.ensure_future(self._behind(ahead, command, actor, request_id))
            filling = self._filling(command, actor)
            if filling is None and type(command) not in _NOT_AT_ONCE:
                return self._engine.enqueue(command, actor, request_id)
            key = actor.agent_id, request_id or uuid.uuid4().hex
            queued = self._filled_in[key] = asyncio.Event()
            return asyncio.ensure_future(
                self._decide(command, filling, actor, key, queued, is_named=request_id is not None)
            )
        except Exception as error:
            failed: ReplyFuture = asyncio.get_running_loop().create_future()
            failed.set_exception(error)
            return failed

    def _filling(self, command: AnyCommand, actor: Actor) -> Awaitable[AnyCommand] | None:
        """Return an awaitable of the completed command, from the first service that fills in its fields; else None."""
        for prepare in self._prepare:
            if (filling := prepare(command, actor)) is not None:
                return filling
        return None

    async def _decide(
        self,
        command: AnyCommand,
        filling: Awaitable[AnyCommand] | None,
        actor: Actor,
        key: RequestKey,
        queued: asyncio.Event,
        *,
        is_named: bool,
    ) -> Reply:
        try:
            if filling is not None:
                command = await self._filled(command, filling, key)
            if isinstance(command, _COMPARED):
                await self._rehearse(command, actor, key)
            answer = self._engine.enqueue(command, actor, key[1] if is_named else None)
        finally:
            queued.set()
            if self._filled_in.get(key) is queued:
                del self._filled_in[key]
        reply = await answer
        if isinstance(command, ContextGet):
            if command.section is None:
                return await self._engine.context()
            return section_page(await self._engine.view(), command.section, command.after or "")
        if isinstance(command, AgentRegister) and actor.kind == "person":
            reply = {**reply, "token_file": str(self._tokens.issue(reply))}
        return reply

    async def _filled(self, command: AnyCommand, filling: Awaitable[AnyCommand], key: RequestKey) -> AnyCommand:
        """Wait for `filling` and return the completed command.

        If that fails for a request that was granted before or is waiting, return `command` as it is: the engine answers
        a retry with its first reply.

        Raises:
            AegisError: It fails for a new request.
        """
        try:
            return await filling
        except AegisError:
            if await self._engine.has_taken(key):
                return command
            raise

    async def _rehearse(self, command: AnyCommand, actor: Actor, key: RequestKey) -> None:
        """Compare a command's globs in a thread, as its rules will do, so that the writer finds the results cached.

        One request at a time does this. No effect for a command whose rules compare none now.

        Raises:
            Refused: The comparison takes too many steps (code `glob.effort`), and the request is not a retry.
        """
        if (rehearse := self._engine.peek(lambda workspace: rehearsal_of(workspace, command, actor))) is None:
            return
        try:
            async with self._rehearsing:
                await asyncio.to_thread(rehearse)
        except Refused:
            if not await self._engine.has_taken(key):
                raise

    async def _behind(self, ahead: asyncio.Event, command: LockRelease, actor: Actor, request_id: str | None) -> Reply:
        """Submit a release after the request that it withdraws is in the queue (`ahead` is set then); return its reply.

        Raises:
            AegisError: The release is refused.
        """
        await ahead.wait()
        return await self._engine.submit(command, actor, request_id)


def _check_unfilled(command: CommandData) -> None:
    names = _HUBS_OWN.get(type(command), ())
    if any(getattr(command, name) for name in names):
        raise UsageError(f"{command.type}: only the hub fills in {' and '.join(names)}", "leave them out")


def split_frame(frame: dict[str, Any], *, is_plain: bool = False) -> tuple[str | None, dict[str, Any]]:
    """Return the request id of a client's JSON object, None if it has none, and all fields but `v` and `request_id`.

    Args:
        frame: The object; not changed.
        is_plain: Its text had no escape sequence, so it cannot hold unpaired surrogates and is not searched for them.

    Raises:
        UsageError: The version or the request id is not valid, the type is one of `STREAM_ONLY`, which the WebSocket
            handles itself, fields are nested deeper than `MAX_DEPTH`, or a text holds an unpaired surrogate.
    """
    fields = {name: value for name, value in frame.items() if name not in ("v", "request_id")}
    request_id = frame.get("request_id")
    check_version(frame)
    check_request_id(request_id)
    if fields.get("type") in STREAM_ONLY:
        raise UsageError(f"{fields['type']} works on the WebSocket only", "connect to /v1/stream")
    _check_depth(fields)
    if not is_plain:
        _check_unicode(fields)
    return request_id, fields


def _check_depth(fields: dict[str, Any]) -> None:
    """Return if no field is nested deeper than `MAX_DEPTH` (64); this costs less than to parse the command.

    Raises:
        UsageError: One is.
    """
    level = [value for value in fields.values() if isinstance(value, (dict, list))]
    for _ in range(MAX_DEPTH):
        if not level:
            return
        inner = chain.from_iterable(item.values() if isinstance(item, dict) else item for item in level)
        level = [value for value in inner if isinstance(value, (dict, list))]
    raise UsageError(f"lists and objects are nested deeper than {MAX_DEPTH}", "send flatter data, or one text")


def _check_unicode(fields: dict[str, Any]) -> None:
    try:
        json.dumps(fields, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise UsageError("the text contains an unpaired surrogate", "send valid Unicode") from error


def reply_object(frame: dict[str, Any], reply: Reply) -> Reply:
    """Return the answer to an accepted request: `reply` with `v`, `request_id` (perhaps None) and `ok` (True)."""
    return {"v": SCHEMA_VERSION, "request_id": frame.get("request_id"), "ok": True, **reply}


def refused(frame: dict[str, Any], error: Exception) -> tuple[Reply, AegisError]:
    """Return the reply object for a request that failed, and the error in it. Never raises.

    An error that is no `AegisError` is logged, and replaced by one with code `internal` that names only its type.
    """
    if not isinstance(error, AegisError):
        _log.error("a request failed", extra={"aegis_command": str(frame.get("type"))[:60]}, exc_info=error)
        error = AegisError(
            f"the hub failed on this request ({type(error).__name__})",
            "see logs/hub.log in the state folder",
            code="internal",
        )
    return refusal(frame.get("request_id"), error), error


def refusal(request_id: object, error: AegisError) -> Reply:
    """Return the reply to a refused request: `v`, `request_id` (the client's, or None), `ok` (False) and `error`."""
    return {"v": SCHEMA_VERSION, "request_id": request_id, "ok": False, "error": error_to_wire(error)}
