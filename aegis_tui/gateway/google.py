"""The routes of Google's Gemini API, for programs that speak nothing else, such as gemini-cli (LLM-10, AGENT-2).

No model server here has them, so each request is translated into a chat completion and its answer back. A model that
the server does not list is replaced by the gateway's own: such programs name Google's models whatever they are told.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import partial
from urllib.parse import parse_qsl

from aegis_tui.domain.endpoint import root_url
from aegis_tui.errors import AegisError, ModelMalformed, ModelUnavailable
from aegis_tui.gateway.access import AccessMap
from aegis_tui.gateway.body import parse_fields, prepare_body
from aegis_tui.gateway.budget import check_budget
from aegis_tui.gateway.dialect import GOOGLE_PREFIX, error_body
from aegis_tui.gateway.engine import EngineFacts, upstream_url
from aegis_tui.gateway.forwarding import Attempt, Forwarding
from aegis_tui.gateway.google_answer import Answer, chat_chunks, problem_text
from aegis_tui.gateway.google_fields import Fields, object_of
from aegis_tui.gateway.google_framing import Framing
from aegis_tui.gateway.google_request import chat_body
from aegis_tui.gateway.ledger import Call, Ledger
from aegis_tui.gateway.rejected import Rejected
from aegis_tui.gateway.relay import STOPPED, STOPPED_WORDS, counted, is_stream, read_whole, secrets_of
from aegis_tui.gateway.request import UPSTREAM_HEADER, Request
from aegis_tui.gateway.share import Share
from aegis_tui.gateway.upstream import Headers, Upstream, UpstreamAnswer
from aegis_tui.gateway.usage import parse_json

_MODELS = f"{GOOGLE_PREFIX}models"
_COMPLETIONS, _TOKENIZE = "/v1/chat/completions", "/tokenize"
"""Where a model server gets the calls; with the root of its address in front."""
_METHODS = ("generateContent", "streamGenerateContent", "countTokens")
_HEADERS: Headers = ((b"Content-Type", b"application/json"), (b"Accept-Encoding", b"identity"))
_REQUEST_ID = b"x-request-id"
_KEPT = frozenset({_REQUEST_ID, b"request-id", b"retry-after"})
_NOT_THERE = (404, 405, 501)
_PROBLEM_CHARS = 4000
_CLOSING_S = 5.0
"""How long the server may take to end its body after its end mark, in seconds; only then is its connection kept."""

Handler = Callable[[Request, Share], Awaitable[None]]


@dataclass
class _Exchange:
    """One call while it is served."""

    request: Request
    call: Call
    body: Fields
    """The chat completion that is asked for."""
    raw: bytes
    """The same as JSON."""
    attempt: Attempt
    """The server that is asked."""


class GoogleDoor:
    """Serves Google's routes in front of a server with chat completions.

    Args:
        access: Who may call, and how much.
        upstream: Connections to the model servers.
        engine: What is known about these.
        ledger: Counts the calls.
        forwarding: Chooses the server of a call; it sees the request in the form in which the server gets it.
    """

    def __init__(
        self, access: AccessMap, upstream: Upstream, engine: EngineFacts, ledger: Ledger, forwarding: Forwarding
    ) -> None:
        self._access = access
        self._upstream = upstream
        self._engine = engine
        self._ledger = ledger
        self._forwarding = forwarding

    def find(self, method: str, path: str) -> Handler | None:
        """Return what serves a request; None if its path is none of Google's model routes, or not with this method.

        The model that the path names is not checked yet.
        """
        if method == "GET" and path == _MODELS:
            return self._list
        if not path.startswith(f"{_MODELS}/"):
            return None
        name, colon, verb = path.removeprefix(f"{_MODELS}/").rpartition(":")
        if method == "POST" and name and verb in _METHODS:
            return partial(self._serve, name, verb)
        return partial(self._show, verb) if method == "GET" and not colon else None

    async def _list(self, request: Request, _share: Share) -> None:
        request.reply_json(200, {"models": [_card(name) for name in await self._names()]})

    async def _show(self, name: str, request: Request, _share: Share) -> None:
        """Send the description of a model; if it is not listed, that of the model for requests that name none.

        Raises:
            Rejected: There is neither (404), no model server is configured (503), or it does not list its models (502).
        """
        names = await self._names()
        own = await self._engine.model()
        if name not in names and own is None:
            raise Rejected(404, "model.absent", f"the model server lists no model, so there is no {name}")
        request.reply_json(200, _card(name if name in names else str(own)))

    async def _names(self) -> list[str]:
        base_url = upstream_url(self._access)
        names = await self._engine.find_models()
        if names is None:
            raise Rejected(502, "model.unavailable", f"{base_url} does not list its models", "aegis-tui doctor")
        return names

    async def _serve(self, name: str, verb: str, request: Request, share: Share) -> None:
        """Serve one call; return when it is complete, or when the client has disconnected after it sent its body.

        Args:
            name: The model in the path.
            verb: One of `_METHODS`.
            request: The exchange; its body is not read yet.
            share: The caller and its limits, for which the body counts; the one who calls this holds it meanwhile.

        Raises:
            Rejected: The request is refused, or the call failed before an answer was begun. A later failure is told in
                the answer.
            asyncio.CancelledError: The client has disconnected before, or the gateway stops.
        """
        upstream_url(self._access)
        check_budget(share.caller, self._access.current, self._ledger)
        fields = parse_fields(await request.body(share.take))
        if verb == "countTokens":
            fields = {**fields, **object_of(fields, "generateContentRequest")}
        stream = verb == "streamGenerateContent"
        model = await self._model_for(name)
        try:
            body = chat_body(fields, model=model, stream=stream)
            raw = json.dumps(body).encode()
        except RecursionError as error:
            raise Rejected(400, "body.json", "the request body is nested too deeply") from error
        call = Call(share.caller, f"{_MODELS}:{verb}", model, stream)
        is_count = verb == "countTokens"

        async def ask(attempt: Attempt) -> bool:
            call.hide(secrets_of(attempt.key))
            exchange = _Exchange(request, call, body, raw, attempt)
            return await (self._count(exchange) if is_count else self._generate(exchange))

        with counted(self._ledger, request, call):
            self._ledger.listen(call, _TOKENIZE if is_count else _COMPLETIONS, raw, [request.token().encode()])
            await self._forwarding.run(call, "chat", body, ask, is_count=is_count)

    async def _model_for(self, name: str) -> str:
        """Return the model to ask: the named one if the server lists it, else the gateway's, else the named one.

        The gateway's is the configured one, else the first that the server lists.
        """
        if name in (await self._engine.find_models() or ()):
            return name
        return await self._engine.model() or name

    async def _generate(self, exchange: _Exchange) -> bool:
        request, call, attempt = exchange.request, exchange.call, exchange.attempt
        alternative = dict(parse_qsl(request.query)).get("alt")
        framing = Framing(is_sse=alternative == "sse")
        try:
            body = prepare_body(exchange.raw, exchange.body, dialect="chat", model=None, added=attempt.added).body
            async with self._open(exchange, _COMPLETIONS, body) as answer:
                call.status = answer.status
                if not attempt.accepts(answer.status):
                    return False
                call.error = None
                if answer.status >= 400:
                    await _refuse(exchange, answer)
                elif is_stream(answer, asked=call.stream):
                    await _pass_stream(exchange, answer, framing)
                else:
                    await _pass_whole(exchange, answer, framing if call.stream else None)
        except AegisError as error:
            if not attempt.gives_up(is_answered=request.is_answered):
                return False
            await _tell(exchange, error, framing)
        return True

    def _open(self, exchange: _Exchange, path: str, body: bytes) -> AbstractAsyncContextManager[UpstreamAnswer]:
        base_url = exchange.attempt.server.url
        named = (header for header in exchange.request.raw_headers if header[0] == _REQUEST_ID)
        headers = [*_HEADERS, *named, *exchange.attempt.key]
        return self._upstream.open("POST", base_url, f"{root_url(base_url)}{path}", headers=headers, body=body)

    async def _count(self, exchange: _Exchange) -> bool:
        """Answer with the number of tokens of a conversation: by the server's `/tokenize`, else by a short completion.

        A refusal by the server is passed on to the client. If the server names no number, 0 is sent.

        Returns:
            False if another server should be asked.

        Raises:
            Rejected: The last server failed (502).
        """
        request, call, body, attempt = exchange.request, exchange.call, exchange.body, exchange.attempt
        asked: Fields = {name: body[name] for name in ("model", "messages", "tools") if name in body}
        try:
            status, said = await self._ask(exchange, _TOKENIZE, {**asked, "add_generation_prompt": True})
            if status in _NOT_THERE:
                short = {**asked, "max_tokens": 1, **attempt.added}
                status, said = await self._ask(exchange, _COMPLETIONS, short)
        except AegisError as error:
            if not attempt.gives_up(is_answered=False):
                return False
            call.status, call.error = 502, error.code
            raise Rejected(502, error.code, error.message, error.hint) from error
        call.status = status
        if not attempt.accepts(status):
            return False
        call.hear(said)
        if status >= 400:
            call.error = f"http.{status}"
            request.reply(status, _refusal(status, said))
            return True
        counted = parse_json(said)
        call.usage.note(counted)
        count = counted.get("count") if isinstance(counted, dict) else None
        call.is_whole = True
        request.reply_json(200, {"totalTokens": call.usage.prompt_tokens if count is None else count})
        return True

    async def _ask(self, exchange: _Exchange, path: str, body: Fields) -> tuple[int, bytes]:
        """Send a JSON body to a path of the model server; return the answer's status, also of an error, and body.

        Raises:
            AegisError: The server does not answer, or not with a body that can be read.
        """
        async with self._open(exchange, path, json.dumps(body).encode()) as answer:
            return answer.status, await read_whole(answer, secrets=secrets_of(exchange.attempt.key))


def _card(name: str) -> Fields:
    return {"name": f"models/{name}", "displayName": name, "supportedGenerationMethods": list(_METHODS)}


def _kept_headers(answer: UpstreamAnswer) -> list[tuple[bytes, bytes]]:
    """Return the headers for the client: those of the server that do not depend on the body's form, and its URL."""
    kept = [header for header in answer.headers if header[0] in _KEPT]
    return [*kept, (UPSTREAM_HEADER, answer.base_url.encode("utf-8"))]


def _refusal(status: int, said: bytes) -> bytes:
    """Return the body of a refusal by the model server in Google's form, with at most 4,000 characters of its words."""
    return error_body("google", status, code="upstream", message=problem_text(said)[:_PROBLEM_CHARS])


async def _refuse(exchange: _Exchange, answer: UpstreamAnswer) -> None:
    exchange.call.error = f"http.{answer.status}"
    said = await read_whole(answer, secrets=secrets_of(exchange.attempt.key))
    exchange.call.hear(said)
    body = _refusal(answer.status, said)
    exchange.request.reply(answer.status, body, headers=_kept_headers(answer))


async def _pass_stream(exchange: _Exchange, answer: UpstreamAnswer, framing: Framing) -> None:
    request, call = exchange.request, exchange.call
    if not call.stream:
        raise ModelMalformed(f"the model server at {answer.base_url} sent a stream although none was requested")
    translated = Answer(call.model)
    request.start(answer.status, [framing.head(), *_kept_headers(answer)])
    try:
        async for chunk in chat_chunks(_heard(call, answer.chunks())):
            await _pass_chunk(exchange, translated, chunk, framing)
    except asyncio.CancelledError:
        if not request.is_gone and not request.is_complete:
            request.send(framing.broken(STOPPED, STOPPED_WORDS))
        raise
    except ModelUnavailable:
        if not translated.is_finished:  # else the answer is complete and only the end of the body is missing
            raise
    if not request.is_complete:
        await _end_stream(exchange, translated, framing)


async def _heard(call: Call, parts: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    async for part in parts:
        call.hear(part)
        yield part


async def _pass_chunk(exchange: _Exchange, translated: Answer, chunk: Fields | None, framing: Framing) -> None:
    """Send the client what a chunk of the server's stream brings; for None, the end mark, send the end of the answer.

    After the end mark it does nothing: the caller then only reads the server's connection to its end.

    Raises:
        AegisError: The chunk is an error, or the end mark came before any choice.
    """
    request, call = exchange.request, exchange.call
    if request.is_complete:
        return
    if chunk is None:
        translated.finish()
        await _end_stream(exchange, translated, framing)
        return
    if chunk.get("error"):
        why = problem_text(json.dumps(chunk).encode())[:_PROBLEM_CHARS]
        raise AegisError(f"the model server at {exchange.attempt.server.url} stopped: {why}")
    call.usage.note(chunk)
    for event in translated.take(chunk):
        await request.write(framing.frame(event), more=True)
        call.first_byte()


async def _end_stream(exchange: _Exchange, translated: Answer, framing: Framing) -> None:
    """Send the last event: tool calls, token counts, and why the answer ended.

    Raises:
        AegisError: The server has not said that the answer is complete.
    """
    call = exchange.call
    if not translated.is_finished:
        raise AegisError(f"the model server at {exchange.attempt.server.url} stopped in the middle of an answer")
    call.is_whole = True
    await exchange.request.write(framing.frame(translated.last(call.usage)) + framing.end(), more=False)
    call.first_byte()


async def _pass_whole(exchange: _Exchange, answer: UpstreamAnswer, framing: Framing | None) -> None:
    """Pass a whole completion on to the client.

    Args:
        exchange: The call.
        answer: The server's answer.
        framing: How to send it as the only event of a stream; None if the client asked for none.

    Raises:
        AegisError: The answer is no chat completion, or it could not be read to its end.
    """
    request, call = exchange.request, exchange.call
    said = await read_whole(answer, secrets=())
    call.hear(said)
    body = parse_json(said)
    call.usage.note(body)
    event = Answer(call.model).whole(body, call.usage) if isinstance(body, dict) else None
    if event is None:
        raise ModelMalformed(f"the model server at {answer.base_url} sent no chat completion")
    call.is_whole = True
    if framing is None:
        request.reply(200, json.dumps(event).encode(), headers=_kept_headers(answer))
    else:
        request.start(200, [framing.head(), *_kept_headers(answer)])
        await request.write(framing.frame(event) + framing.end(), more=False)
    call.first_byte()


async def _tell(exchange: _Exchange, error: AegisError, framing: Framing) -> None:
    """Report to the client that the server failed, within the answer that has begun; do nothing if that is complete.

    Raises:
        Rejected: The answer has not begun: the error as a status for the client (502).
    """
    request, call = exchange.request, exchange.call
    if request.is_complete:
        return
    if not request.is_answered:
        call.status, call.error = 502, error.code
        raise Rejected(502, error.code, error.message, error.hint) from error
    call.error = "upstream.lost"
    request.send(framing.broken(call.error, error.message))
    request.end()
