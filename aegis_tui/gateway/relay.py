"""Passes a model call on and its answer back, byte by byte, and counts tokens along the way.

A broken stream ends with an error event, never with a sign of success. When the client disconnects, the call is
cancelled on the server, so that the engine does not work for nothing.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass
from typing import Any

from aegis_tui.errors import AegisError, ModelUnavailable
from aegis_tui.gateway.access import AccessMap
from aegis_tui.gateway.dialect import RELAYED, Dialect, stream_error
from aegis_tui.gateway.engine import EngineFacts, upstream_key, upstream_url
from aegis_tui.gateway.ledger import Call, Ledger
from aegis_tui.gateway.request import UPSTREAM_HEADER, Rejected, Request
from aegis_tui.gateway.share import Share
from aegis_tui.gateway.upstream import Headers, Upstream, UpstreamAnswer
from aegis_tui.gateway.usage import StreamTap, parse_json

_REQUEST_HEADERS = frozenset({b"accept", b"content-type", b"anthropic-version", b"anthropic-beta", b"x-request-id"})
_ANSWER_HEADERS = frozenset({b"content-type", b"cache-control", b"x-request-id", b"request-id", b"retry-after"})
_EVENT_STREAM = b"text/event-stream"
_VAGUE_TYPES = frozenset({b"", b"text/plain", b"application/octet-stream"})
"""Content types that some servers send with a stream instead of `text/event-stream`."""
_ANSWER_LIMIT_BYTES = 64 * 1024 * 1024
_CLOSING_S = 5.0
"""How long releasing the connection to the model server may take after the last byte, in seconds."""


@dataclass(frozen=True)
class Prepared:
    """A request body in the form in which it is sent."""

    body: bytes
    model: str
    stream: bool


class Relay:
    """Relays model calls of all dialects."""

    def __init__(self, access: AccessMap, upstream: Upstream, engine: EngineFacts, ledger: Ledger) -> None:
        self._access = access
        self._upstream = upstream
        self._engine = engine
        self._ledger = ledger

    async def run(self, request: Request, share: Share) -> None:
        """Serve one call; return when it is complete or, without an error, when the client has disconnected.

        Raises:
            Rejected: The request is refused, or the call failed before an answer was begun. A later failure is told in
                the answer.
        """
        base_url = upstream_url(self._access)
        await self._call(request, share.caller, base_url, await request.body(share.take))

    async def _call(self, request: Request, agent_id: str, base_url: str, raw: bytes) -> None:
        dialect = RELAYED[request.path]
        fields = parse_fields(raw)
        fallback = await self._engine.model() if _needs_model(fields) else None
        prepared = prepare_body(raw, fields, dialect=dialect, model=fallback)
        key = upstream_key(self._access)
        call = Call(agent_id=agent_id, route=request.path, model=prepared.model, stream=prepared.stream)
        self._ledger.begin(call)
        try:
            await until_gone(request, self._forward(request, call, prepared.body, base_url, key), call)
        finally:
            self._ledger.finish(call)

    async def _forward(self, request: Request, call: Call, body: bytes, base_url: str, key: Headers) -> None:
        headers = [(name, value) for name, value in request.raw_headers if name in _REQUEST_HEADERS]
        headers += [(b"Accept-Encoding", b"identity"), *key]
        query = request.passed_query
        url = base_url.removesuffix("/v1") + request.path + (f"?{query}" if query else "")
        try:
            async with self._upstream.open("POST", base_url, url, headers=headers, body=body) as answer:
                call.status = answer.status
                if answer.status >= 400:
                    call.error = f"http.{answer.status}"
                if answer.status < 400 and is_stream(answer, asked=call.stream):
                    await _pass_stream(request, call, answer)
                else:
                    await _pass_whole(request, call, answer, secrets=secrets_of(key))
        except AegisError as error:
            await _tell(request, call, error, RELAYED[request.path])


async def until_gone(request: Request, work: Coroutine[Any, Any, None], call: Call) -> None:
    """Run the work of a call; cancel it if the client disconnects before the whole answer was sent.

    An error of the work is raised, its cancellation is not. Once the whole answer was sent, the work has 5 s to end by
    itself.

    Args:
        request: The exchange; its body was read.
        work: Answers the request.
        call: Gets the error `cancelled` if the work was cut off before the server's answer was complete.
    """
    working = asyncio.create_task(work)
    gone = asyncio.create_task(request.wait_until_gone())
    try:
        await asyncio.wait((working, gone), return_when=asyncio.FIRST_COMPLETED)
        if request.is_complete:  # only the connection must still be released
            await asyncio.wait((working,), timeout=_CLOSING_S)
    finally:
        is_cut = not working.done() and not request.is_complete
        working.cancel()
        gone.cancel()
        outcome, _ = await asyncio.gather(working, gone, return_exceptions=True)
        if is_cut and not call.is_whole:
            call.error = "cancelled"
    if isinstance(outcome, Exception):
        raise outcome


async def _pass_stream(request: Request, call: Call, answer: UpstreamAnswer) -> None:
    tap = StreamTap(call.usage)
    await request.start(answer.status, _kept_headers(answer))
    try:
        async for chunk in answer.chunks():
            try:
                await request.write(chunk, more=True)
            finally:
                tap.feed(chunk)  # even if the client disconnects right after the end of the answer
                call.is_whole = tap.ended_well
            call.first_byte()
    except ModelUnavailable:
        if not tap.ended_well:  # else the answer is complete and only the end of the body is missing
            raise
    tap.end()
    if not tap.ended_well and _media_type(answer) == _EVENT_STREAM and _ends_with_connection(answer):
        raise AegisError(f"the model server at {answer.base_url} stopped in the middle of an answer")
    await request.write(b"", more=False)


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
    await request.start(answer.status, [*_kept_headers(answer), (b"content-length", str(len(body)).encode())])
    await request.write(body, more=False)
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


async def _tell(request: Request, call: Call, error: AegisError, dialect: Dialect) -> None:
    """Report to the client that the server failed: end the answer that has begun with an error event.

    Raises:
        Rejected: The answer has not begun: the error as a status for the client (502).
    """
    if not request.is_answered:
        call.status, call.error = 502, error.code
        raise Rejected(502, error.code, error.message, error.hint) from error
    call.error = "upstream.lost"
    await request.write(stream_error(dialect, code="upstream.lost", message=error.message), more=True)
    await request.write(b"", more=False)


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
    kept = [(key.lower(), value) for key, value in answer.headers if key.lower() in _ANSWER_HEADERS]
    return [*kept, (UPSTREAM_HEADER, answer.base_url.encode("utf-8"))]


def _ends_with_connection(answer: UpstreamAnswer) -> bool:
    """Return whether only the end of the connection marks the end of the body (RFC 9112, 6.3).

    The body then looks complete even if the server crashed while it sent it.
    """
    return not answer.header(b"transfer-encoding") and not answer.header(b"content-length")


def parse_fields(raw: bytes) -> dict[str, Any]:
    """Return the fields of a request body.

    Raises:
        Rejected: The body is not a JSON object in UTF-8 (400).
    """
    try:
        fields = json.loads(raw.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise Rejected(400, "body.json", "the request body is not JSON") from error
    if not isinstance(fields, dict):
        raise Rejected(400, "body.json", "the request body is not a JSON object")
    return fields


def _needs_model(fields: dict[str, Any]) -> bool:
    return fields.get("model") in (None, "", "default")


def prepare_body(raw: bytes, fields: dict[str, Any], *, dialect: Dialect, model: str | None) -> Prepared:
    """Return the body to send, with the model and the request for token counts added where they are missing.

    Args:
        raw: The body as received; sent unchanged if nothing is missing.
        fields: The same, parsed.
        dialect: Chat streams report token counts only on request (`stream_options.include_usage`).
        model: The model for requests that name none; None adds nothing.
    """
    stream = fields.get("stream") is True
    added: dict[str, Any] = {}
    if model is not None and _needs_model(fields):
        added["model"] = model
    options = fields.get("stream_options")
    if dialect == "chat" and stream and not (isinstance(options, dict) and options.get("include_usage") is not None):
        added["stream_options"] = {**(options if isinstance(options, dict) else {}), "include_usage": True}
    named = str(added.get("model") or fields.get("model") or "")
    if not added:
        return Prepared(raw, named, stream)
    if fields and not added.keys() & fields.keys():
        start = raw.index(b"{") + 1
        return Prepared(raw[:start] + json.dumps(added).encode()[1:-1] + b"," + raw[start:], named, stream)
    return Prepared(json.dumps({**fields, **added}, ensure_ascii=False).encode(), named, stream)
