"""Client of one OpenAI-compatible server, over TCP or a unix socket (AGENT-1).

Owns the HTTP connections, the retries before a reply has begun, and the mapping of HTTP's errors. It never prints,
never runs a tool, and never retries once text was delivered, because that was already shown. Errors name the model
server as a person knows it; behind the gateway's socket that is the URL that the gateway reports in its header.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import random
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from typing import Any
from urllib.parse import unquote, urlsplit

from aegis_tui.adapters.llm.assembly import ReplyAssembler
from aegis_tui.adapters.llm.call_assembly import Odd
from aegis_tui.adapters.llm.counting import count_tokens, find_context_tokens
from aegis_tui.adapters.llm.event_stream import DONE, OddBody, ReplyBody, parse_texts, show_piece
from aegis_tui.adapters.llm.http_call import HttpAnswer, HttpClient, HttpFailed, WholeAnswer, get_whole
from aegis_tui.adapters.llm.over_socket import SocketClient
from aegis_tui.adapters.llm.problem import GATEWAY_HEADER, UPSTREAM_HEADER, problem_in_stream, problem_of
from aegis_tui.domain.prompt import inert
from aegis_tui.errors import AegisError, ModelAbsent, ModelLost, ModelMalformed, ModelUnavailable, UsageError
from aegis_tui.ports.llm import ChatReply, ChatRequest, TextDelta
from aegis_tui.sdk.backoff import grown_pause_s

_log = logging.getLogger(__name__)

_CONNECT_TIMEOUT_S = 10.0
_IDLE_TIMEOUT_S = 300.0
_PAUSE_LIMIT_S = 10.0
_ASKED_PAUSE_LIMIT_S = 60.0
_UNIX_PREFIX = "http+unix:"
_PROBLEM_BYTES = 64 * 1024
_LISTED_MODELS = 20


class OpenAIChat:
    """A `ChatModel` on `/v1/chat/completions`.

    Args:
        base_url: `http://host:port`, with or without `/v1`, or `http+unix:/path/to.sock`.
        api_key: Sent as a bearer token when not empty.
        attempts: How often a request is tried before a reply has begun, at least 1.
        backoff_s: First pause between attempts, in seconds; doubled each time, 10 at most, and varied randomly.
        idle_timeout_s: Seconds without data after which a running reply counts as lost.
    """

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str = "",
        attempts: int = 8,
        backoff_s: float = 0.5,
        idle_timeout_s: float = _IDLE_TIMEOUT_S,
    ) -> None:
        self.base_url = base_url
        self._attempts = attempts
        self._backoff_s = backoff_s
        url, socket = split_base_url(base_url)
        self._is_gateway = socket is not None
        self._server = "the model gateway" if socket else f"the model server at {base_url}"
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._http = _open_client(url, socket, headers, idle_timeout_s)

    async def list_models(self) -> list[str]:
        """Return the names of the server's models, in its order; tried `attempts` times, with pauses. May be empty.

        Raises:
            ModelUnavailable: No whole answer within 10 s, or a temporary refusal, in all attempts.
            ModelRefused: The server refused the request.
            ModelMalformed: The answer is no list of models.
        """
        attempt = 0
        while True:
            try:
                response = await get_whole(self._http, "models", deadline_s=_CONNECT_TIMEOUT_S)
                self._note_server(response)
                if not _is_success(response.status):
                    raise self._problem(response, response.content)
                return _model_names(response, self._server)
            except HttpFailed as error:
                await self._pause(attempt, self._unreachable(error))
            except ModelUnavailable as error:
                await self._pause(attempt, error)
            attempt += 1

    async def find_context_tokens(self, model: str) -> int | None:
        """Return how many tokens the context of a model has, as the list of models says; None if it does not."""
        return await find_context_tokens(self._http, model)

    async def count_tokens(self, request: ChatRequest) -> int | None:
        """Return the number of tokens of a request's prompt, by the server's `/tokenize`; None if it has none."""
        return await count_tokens(self._http, request)

    async def stream(self, request: ChatRequest) -> AsyncGenerator[TextDelta | ChatReply, None]:
        """Yield the text of a reply as it arrives, then exactly one `ChatReply`.

        Raises:
            ModelUnavailable: No answer, or a temporary refusal, after all attempts; nothing was yielded before.
            ModelRefused: The server refused the request; the subclasses give the reason.
            ModelMalformed: The reply cannot be parsed.
            ModelLost: The connection was lost, or the server reported an error or stopped without a finish reason,
                after the reply had begun.
        """
        body = _body(request)
        for attempt in itertools.count():
            assembler = ReplyAssembler()
            started_at = time.monotonic()
            try:
                async with aclosing(self._stream_once(body, assembler)) as texts:
                    async for text in texts:
                        yield TextDelta(text)
            except HttpFailed as error:
                if assembler.has_begun and not assembler.has_finished:
                    raise self._lost() from error
                if not assembler.has_finished:
                    await self._pause(attempt, self._unreachable(error))
                    continue
            except ModelUnavailable as error:
                await self._pause(attempt, error)
                continue
            except ModelAbsent as error:
                raise await self._with_served(error) from error
            reply = assembler.reply()
            _log.info("chat reply", extra={"duration_s": time.monotonic() - started_at, "usage": reply.usage.to_wire()})
            yield reply
            return

    async def close(self) -> None:
        """Close the connections; a second call does nothing."""
        await self._http.close()

    async def _stream_once(self, body: bytes, assembler: ReplyAssembler) -> AsyncGenerator[str, None]:
        async with self._http.ask("POST", "chat/completions", body) as response:
            self._note_server(response)
            if not _is_success(response.status):
                raise self._problem(response, await _read_some(response))
            async with aclosing(self._payloads(response, assembler)) as payloads:
                async for payload in payloads:
                    for text in self._take(payload, assembler):
                        yield text
        if not assembler.has_finished:
            raise self._lost() if assembler.has_begun else self._unreachable(None)

    async def _payloads(self, response: HttpAnswer, assembler: ReplyAssembler) -> AsyncGenerator[str, None]:
        """Yield the JSON texts of the body, up to `[DONE]`, which some servers omit.

        Raises:
            ModelMalformed: The body is no stream of JSON. After a finish reason, the stream only ends.
            HttpFailed: The connection was lost, or nothing was received for too long.
        """
        body = ReplyBody()
        try:
            async with aclosing(response.chunks()) as chunks:
                async for chunk in chunks:
                    for payload in body.feed(chunk):
                        if payload.strip() == DONE:
                            return
                        yield payload
            for payload in body.end():
                yield payload
        except OddBody as error:
            if not assembler.has_finished:
                raise ModelMalformed(f"{self._server} {error}") from error

    def _take(self, payload: str, assembler: ReplyAssembler) -> list[str]:
        """Pass one JSON text of the body to the assembler, and return the texts that it added; may be empty.

        A text that is empty or `[DONE]`, and errors that the server reports after its finish reason, are ignored.

        Raises:
            ModelMalformed: It is not JSON, or not a chunk of a completion.
            ModelLost: The server reported an error in the middle of the reply.
            AegisError: The server reported an error before the reply; `problem_of` chooses the class.
        """
        texts = []
        for chunk in self._parse(payload):
            problem = problem_in_stream(chunk, self._server) if isinstance(chunk, dict) else None
            if problem is not None:
                if assembler.has_finished:
                    continue  # the reply is complete; an error after it does not matter
                raise ModelLost(problem.message, "The reply is requested again") if assembler.has_begun else problem
            try:
                texts.append(assembler.feed(chunk))
            except Odd as odd:
                raise ModelMalformed(f"{self._server} sent {odd.what}: {show_piece(odd.value)}") from odd
        return [text for text in texts if text]

    def _parse(self, payload: str) -> list[Any]:
        if payload.strip() in ("", DONE):
            return []
        try:
            return parse_texts(payload)
        except OddBody as error:
            raise ModelMalformed(f"{self._server} {error}") from error

    def _note_server(self, response: HttpAnswer | WholeAnswer) -> None:
        """Store, for messages, which server the gateway asked, if its header says so.

        No effect if this client asks a server itself: a server's own header is not trusted.
        """
        if self._is_gateway and (url := response.headers.get(UPSTREAM_HEADER)):
            self._server = f"the model server at {inert(url)}"

    def _problem(self, response: HttpAnswer | WholeAnswer, said: bytes) -> AegisError:
        headers = dict(response.headers)
        if not self._is_gateway:
            headers.pop(GATEWAY_HEADER, None)
        return problem_of(response.status, said, headers, self._server)

    async def _with_served(self, error: ModelAbsent) -> AegisError:
        """Return the same error, extended by the models that the server serves; unchanged if it does not list them.

        Asks the server for them. Raises nothing.
        """
        with suppress(AegisError, HttpFailed):
            response = await get_whole(self._http, "models", deadline_s=_CONNECT_TIMEOUT_S)
            if _is_success(response.status) and (names := _model_names(response, self._server)):
                served = inert(", ".join(names[:_LISTED_MODELS]))
                return ModelAbsent(f"{error.message}; it serves: {served}", error.hint, **error.data)
        return error

    async def _pause(self, attempt: int, error: AegisError) -> None:
        """Wait before the next attempt, or raise `error` if this was the last.

        The pause is the one that the server asked for, at most a minute, or else grows with each attempt. It is varied,
        so that agents that were refused together do not retry together.

        Args:
            attempt: The number of the attempt that failed, from 0.
            error: Why it failed.
        """
        if attempt + 1 >= self._attempts:
            raise error
        asked_s = error.data.get("retry_after_s")
        if isinstance(asked_s, float):
            pause_s = min(asked_s, _ASKED_PAUSE_LIMIT_S) * random.uniform(1.0, 1.1)
        else:
            pause_s = grown_pause_s(attempt, self._backoff_s, _PAUSE_LIMIT_S)
        _log.info("model retry", extra={"duration_s": pause_s, "error": error.code})
        await asyncio.sleep(pause_s)

    def _lost(self) -> ModelLost:
        return ModelLost(
            f"the connection to {self._server} broke in the middle of a reply", "The reply is requested again"
        )

    def _unreachable(self, error: HttpFailed | None) -> ModelUnavailable:
        what = f"does not answer: {error}" if error else "ended its answer before a reply began"
        return ModelUnavailable(f"{self._server} {what}", "Check it with: aegis-tui doctor")


def _open_client(url: str, socket: str | None, headers: dict[str, str], idle_timeout_s: float) -> HttpClient:
    """Return the client for a URL and a socket as `split_base_url` returns them; connects to nothing.

    Raises:
        UsageError: A header has characters that cannot be sent (over a socket).
    """
    limits = {"idle_timeout_s": idle_timeout_s, "connect_timeout_s": _CONNECT_TIMEOUT_S}
    if socket is not None:
        return SocketClient(socket, urlsplit(url).path, headers, **limits)
    from aegis_tui.adapters.llm.over_tcp import TcpClient  # brings httpx, which no agent needs

    return TcpClient(url, headers, **limits)


def _is_success(status: int) -> bool:
    return 200 <= status < 300


def split_base_url(base_url: str) -> tuple[str, str | None]:
    """Return the URL for HTTP, ending in `/v1/`, and the path of the unix socket if `base_url` names one, else None.

    Raises:
        UsageError: The scheme is none of http, https and http+unix.
    """
    if base_url.startswith(_UNIX_PREFIX):
        path = unquote(base_url.removeprefix(_UNIX_PREFIX))
        return "http://localhost/v1/", "/" + path.lstrip("/")
    if not base_url.startswith(("http://", "https://")):
        raise UsageError(f"{base_url!r} is not a base URL", "Use http://host:port/v1 or http+unix:/path/to.sock")
    trimmed = base_url.rstrip("/")
    return (trimmed if trimmed.endswith("/v1") else f"{trimmed}/v1") + "/", None


def _body(request: ChatRequest) -> bytes:
    fields: dict[str, Any] = {
        "model": request.model,
        "messages": list(request.messages),
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if request.tools:
        fields["tools"] = list(request.tools)
    if request.max_tokens is not None:
        fields["max_tokens"] = request.max_tokens
    return json.dumps(fields, ensure_ascii=False).encode("utf-8", "replace")


async def _read_some(response: HttpAnswer) -> bytes:
    """Return the start of a refusal's body, at most 64 KiB, as far as it can be read; no error is raised."""
    parts, size_bytes = [], 0
    with suppress(HttpFailed):
        async with aclosing(response.chunks()) as chunks:
            async for chunk in chunks:
                parts.append(chunk)
                size_bytes += len(chunk)
                if size_bytes > _PROBLEM_BYTES:
                    break
    return b"".join(parts)[:_PROBLEM_BYTES]


def _model_names(response: WholeAnswer, server: str) -> list[str]:
    try:
        return [str(entry["id"]) for entry in json.loads(response.content)["data"]]
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        piece = show_piece(response.content[:1000].decode("utf-8", "replace"))
        raise ModelMalformed(f"{server} does not list its models as OpenAI does: {piece}") from error
