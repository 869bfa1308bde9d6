"""Passes a model call on and its answer back, byte by byte, and counts tokens along the way.

A part of a stream is sent in the step of the event loop in which it was received; it is read for token counts after
that. While a client takes less than the server sends, nothing more is received from the server.

A broken stream ends with an error event and without the mark of a complete body, never with a sign of success. When the
client disconnects, the call is cancelled on the server, so that the engine does not work for nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from aegis_tui.errors import AegisError, ModelUnavailable
from aegis_tui.gateway.access import AccessMap
from aegis_tui.gateway.body import needs_model, parse_fields, prepare_body
from aegis_tui.gateway.budget import check_budget
from aegis_tui.gateway.dialect import COUNT_PATHS, RELAYED, Dialect, stream_error
from aegis_tui.gateway.engine import EngineFacts, upstream_url
from aegis_tui.gateway.forwarding import Attempt, Forwarding
from aegis_tui.gateway.ledger import Call, Ledger
from aegis_tui.gateway.rejected import Rejected
from aegis_tui.gateway.request import UPSTREAM_HEADER, Request
from aegis_tui.gateway.share import Share
from aegis_tui.gateway.upstream import Headers, Upstream, UpstreamAnswer
from aegis_tui.gateway.usage import StreamTap, parse_json

_REQUEST_HEADERS = frozenset({b"accept", b"content-type", b"anthropic-version", b"anthropic-beta", b"x-request-id"})
_ANSWER_HEADERS = frozenset({b"content-type", b"cache-control", b"x-request-id", b"request-id", b"retry-after"})
_EVENT_STREAM = b"text/event-stream"
_VAGUE_TYPES = frozenset({b"", b"text/plain", b"application/octet-stream"})
"""Content types that some servers send with a stream instead of `text/event-stream`."""
STOPPED = "gateway.stopped"
"""The error of a call that the gateway's end cut off."""
STOPPED_WORDS = "the gateway was stopped in the middle of an answer"
_PLAIN = (b"", b"identity")
_ANSWER_LIMIT_BYTES = 64 * 1024 * 1024


class Relay:
    """Relays model calls of all dialects that model servers speak.

    Args:
        access: Who may call, and how much.
        upstream: Connections to the model servers.
        engine: What is known about these.
        ledger: Counts the calls.
        forwarding: Chooses the server of a call.
    """

    def __init__(
        self, access: AccessMap, upstream: Upstream, engine: EngineFacts, ledger: Ledger, forwarding: Forwarding
    ) -> None:
        self._access = access
        self._upstream = upstream
        self._engine = engine
        self._ledger = ledger
        self._forwarding = forwarding

    async def run(self, request: Request, share: Share) -> None:
        """Serve one call; return when it is complete, or when the client has disconnected after it sent its body.

        Args:
            request: The exchange; its body is not read yet.
            share: The caller and its limits, for which the body counts; the one who calls this holds it meanwhile.

        Raises:
            Rejected: The request is refused, or the call failed before an answer was begun. A later failure is told in
                the answer.
            asyncio.CancelledError: The client has disconnected before, or the gateway stops.
        """
        upstream_url(self._access)
        check_budget(share.caller, self._access.current, self._ledger)
        raw = await request.body(share.take)
        fields = parse_fields(raw)
        fallback = await self._engine.model() if needs_model(fields) else None
        model = str(fallback or fields.get("model") or "")
        call = Call(share.caller, request.path, model, stream=fields.get("stream") is True)
        dialect, headers = RELAYED[request.path], _passed_headers(request)

        async def ask(attempt: Attempt) -> bool:
            body = prepare_body(raw, fields, dialect=dialect, model=fallback, added=attempt.added).body
            return await self._ask(request, call, attempt, headers, body)

        with counted(self._ledger, request, call):
            self._ledger.listen(call, _target(request), raw, [request.token().encode()])
            await self._forwarding.run(call, dialect, fields, ask, is_count=request.path in COUNT_PATHS)

    async def _ask(self, request: Request, call: Call, attempt: Attempt, headers: Headers, body: bytes) -> bool:
        """Send a call to one server and pass its answer on; return False if another server should get it.

        Args:
            request: The exchange.
            call: The call; gets status, error and token counts.
            attempt: The server.
            headers: The headers of the request, without the key.
            body: The body to send.

        Raises:
            Rejected: The call failed before an answer was begun, and no other server is left (502). A later failure
                ends the answer with an error event.
        """
        dialect, base_url = RELAYED[request.path], attempt.server.url
        url = base_url.removesuffix("/v1") + _target(request)
        call.hide(secrets_of(attempt.key))
        try:
            sent = [*headers, *attempt.key]
            async with self._upstream.open("POST", base_url, url, headers=sent, body=body) as answer:
                call.status = answer.status
                if not attempt.accepts(answer.status):
                    return False
                call.error = f"http.{answer.status}" if answer.status >= 400 else None
                if answer.status < 400 and is_stream(answer, asked=call.stream):
                    await _pass_stream(request, call, answer, dialect)
                else:
                    await _pass_whole(request, call, answer, secrets=secrets_of(attempt.key))
        except AegisError as error:
            if not attempt.gives_up(is_answered=request.is_answered):
                return False
            _tell(request, call, error, dialect)
        return True


def _target(request: Request) -> str:
    """Return the path and query of the request, as the model server gets them: without a key in the query."""
    query = request.passed_query
    return request.path + (f"?{query}" if query else "")


def _passed_headers(request: Request) -> list[tuple[bytes, bytes]]:
    kept = [header for header in request.raw_headers if header[0] in _REQUEST_HEADERS]
    return [*kept, (b"Accept-Encoding", b"identity")]


@contextmanager
def counted(ledger: Ledger, request: Request, call: Call) -> Iterator[None]:
    """Count a call while the block runs; a client that disconnects ends the block, without an error.

    Args:
        ledger: Counts it.
        request: The exchange; its body was read.
        call: Gets the error `cancelled` if the client disconnected before the server's answer was complete.

    Raises:
        asyncio.CancelledError: The gateway stops: the call was cut off (error `gateway.stopped`).
        Rejected: As the block raised it; its code is the call's error, unless the call has one.
    """
    ledger.begin(call)
    try:
        yield
    except Rejected as error:
        if call.error is None:
            call.status, call.error = error.status, error.code
        raise
    except asyncio.CancelledError:
        if not call.is_whole:
            call.error = "cancelled" if request.is_gone else STOPPED
        if not request.is_gone:
            raise
    finally:
        ledger.finish(call)


async def _pass_stream(request: Request, call: Call, answer: UpstreamAnswer, dialect: Dialect) -> None:
    """Pass a server's stream on to the client as it arrives, and note whether it ended well and its token counts.

    Raises:
        AegisError: The server stopped before the end; the answer has begun.
        asyncio.CancelledError: The client has disconnected, or the gateway stops; the answer then ends with an error
            event.
    """
    tap = StreamTap(call.usage)

    def deliver(chunk: bytes) -> None:
        request.send(chunk, is_last=answer.is_whole)
        tap.feed(chunk)
        call.hear(chunk)
        call.is_whole = tap.ended_well
        call.first_byte()

    request.press_back(answer.pause, answer.resume)
    request.start(answer.status, _kept_headers(answer))
    try:
        if answer.header(b"content-encoding") in _PLAIN:
            answer.pass_to(deliver)
            request.flush()
            await answer.ended()
        else:
            request.flush()
            async for chunk in answer.chunks():
                deliver(chunk)
                await request.drained()
    except asyncio.CancelledError:
        if not request.is_gone and not call.is_whole:
            _break_off(request, dialect, STOPPED, STOPPED_WORDS)
        raise
    except ModelUnavailable:
        if not tap.ended_well:  # else the answer is complete and only the end of the body is missing
            raise
    tap.end()
    call.is_whole = tap.ended_well
    if not tap.ended_well and answer.is_open_ended and _media_type(answer) == _EVENT_STREAM:
        raise AegisError(f"the model server at {answer.base_url} stopped in the middle of an answer")
    request.end()


def _break_off(request: Request, dialect: Dialect, code: str, message: str) -> None:
    """Send an error event at the end of a stream that has begun, without the mark of a complete body."""
    request.send(stream_error(dialect, code=code, message=message))
    request.flush()


async def _pass_whole(request: Request, call: Call, answer: UpstreamAnswer, *, secrets: Iterable[bytes]) -> None:
    """Send the client a body once it is complete, with the server's status, and note its token counts.

    Args:
        request: The exchange.
        call: Gets the token counts.
        answer: The server's answer.
        secrets: Replaced in the body of an error, as in `read_whole`.

    Raises:
        AegisError: The body could not be read; nothing was sent.
    """
    body = await read_whole(answer, secrets=secrets)
    call.usage.note(parse_json(body))
    call.hear(body)
    call.is_whole = True
    request.start(answer.status, [*_kept_headers(answer), (b"content-length", b"%d" % len(body))])
    request.send(body)
    request.end()
    call.first_byte()


async def read_whole(answer: UpstreamAnswer, *, secrets: Iterable[bytes]) -> bytes:
    """Return a whole body; in an error (status 400 or above), each secret is replaced by `[key]`.

    Some servers repeat the key that they refuse.

    Raises:
        ModelUnavailable: The server disconnected before the end.
        ModelMalformed: The encoding is unknown or invalid.
        AegisError: The body is over 64 MiB.
    """
    parts: list[bytes] = []
    size_bytes = 0
    async for chunk in answer.chunks():
        parts.append(chunk)
        size_bytes += len(chunk)
        if size_bytes > _ANSWER_LIMIT_BYTES:
            raise AegisError(f"the model server at {answer.base_url} sent an answer over 64 MiB")
    body = b"".join(parts)
    if answer.status >= 400:
        for secret in secrets:
            body = body.replace(secret, b"[key]")
    return body


def _tell(request: Request, call: Call, error: AegisError, dialect: Dialect) -> None:
    """Tell the client that the server failed, with an error event at the end of the answer that has begun.

    Raises:
        Rejected: The answer has not begun: the error as a status for the client (502).
    """
    if not request.is_answered:
        call.status, call.error = 502, error.code
        raise Rejected(502, error.code, error.message, error.hint) from error
    call.error = "upstream.lost"
    _break_off(request, dialect, call.error, error.message)


def secrets_of(key: Headers) -> list[bytes]:
    """Return the key without `Bearer` in a list, for `read_whole`; an empty list if there is no key.

    Args:
        key: The authorization header, as `upstream_key` returns it.
    """
    return [value[len(b"Bearer ") :] for _, value in key]


def is_stream(answer: UpstreamAnswer, *, asked: bool) -> bool:
    """Return whether to pass an answer on as a stream: by its content type it is one, or it may be one.

    It may be one if a stream was asked for and the content type is missing, `text/plain` or `application/octet-stream`.

    Args:
        answer: The server's answer.
        asked: Whether the request asked for a stream.
    """
    return _media_type(answer) == _EVENT_STREAM or (asked and _media_type(answer) in _VAGUE_TYPES)


def _media_type(answer: UpstreamAnswer) -> bytes:
    return answer.header(b"content-type").partition(b";")[0].strip().lower()


def _kept_headers(answer: UpstreamAnswer) -> list[tuple[bytes, bytes]]:
    kept = [header for header in answer.headers if header[0] in _ANSWER_HEADERS]
    return [*kept, (UPSTREAM_HEADER, answer.base_url.encode("utf-8"))]
