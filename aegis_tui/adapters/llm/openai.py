"""Client of one OpenAI-compatible server, over TCP or a unix socket (AGENT-1).

Owns the HTTP connections, the retries before a reply has begun, and the mapping of httpx errors. Never prints, never
runs a tool, and never retries once a token was handed out: what was shown cannot be taken back.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any
from urllib.parse import unquote

import httpx

from aegis_tui.adapters.llm.assembly import ReplyAssembler
from aegis_tui.errors import AegisError, ModelError, ModelUnavailable, UsageError
from aegis_tui.ports.llm import ChatReply, ChatRequest, TextDelta

_log = logging.getLogger(__name__)

_RETRIED_STATUS = frozenset({429, 502, 503, 504})
_CONNECT_TIMEOUT_S = 10.0
_IDLE_TIMEOUT_S = 300.0
_UNIX_PREFIX = "http+unix:"


class OpenAIChat:
    """A `ChatModel` on `/v1/chat/completions`.

    Args:
        base_url: `http://host:port`, with or without `/v1`, or `http+unix:/path/to.sock`.
        api_key: Sent as a bearer token when not empty.
        attempts: Tries per request, at least 1, before a reply has begun.
        backoff_s: First pause between tries, in seconds; doubled each time, at most 10.
        idle_timeout_s: Seconds of silence after which a running reply counts as lost.
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
        self._http = httpx.AsyncClient(
            base_url=url,
            transport=httpx.AsyncHTTPTransport(uds=socket),
            headers={"Authorization": f"Bearer {api_key}"} if api_key else {},
            timeout=httpx.Timeout(idle_timeout_s, connect=_CONNECT_TIMEOUT_S),
            trust_env=False,
        )

    async def list_models(self) -> list[str]:
        """See `ChatModel.list_models`. Retried like a chat request."""
        attempt = 0
        while True:
            try:
                response = await self._http.get("models", timeout=_CONNECT_TIMEOUT_S)
                if response.is_error:
                    raise _status_error(response, self.base_url)
                return [str(entry["id"]) for entry in response.json()["data"]]
            except httpx.HTTPError as error:
                await self._pause(attempt, self._unreachable(error))
            except ModelUnavailable as error:
                await self._pause(attempt, error)
            except (ValueError, LookupError, TypeError) as error:
                raise ModelError(f"{self.base_url} does not list its models as OpenAI does") from error
            attempt += 1

    async def stream(self, request: ChatRequest) -> AsyncGenerator[TextDelta | ChatReply, None]:
        """See `ChatModel.stream`."""
        body = _body(request)
        for attempt in itertools.count():
            assembler = ReplyAssembler()
            started_at = time.monotonic()
            try:
                async with aclosing(self._stream_once(body, assembler)) as texts:
                    async for text in texts:
                        yield TextDelta(text)
            except httpx.HTTPError as error:
                if assembler.has_begun:
                    raise _lost(self.base_url) from error
                await self._pause(attempt, self._unreachable(error))
                continue
            except ModelUnavailable as error:
                await self._pause(attempt, error)
                continue
            reply = assembler.reply()
            _log.info("chat reply", extra={"duration_s": time.monotonic() - started_at, "usage": reply.usage.to_wire()})
            yield reply
            return

    async def close(self) -> None:
        """See `ChatModel.close`."""
        await self._http.aclose()

    async def _stream_once(self, body: bytes, assembler: ReplyAssembler) -> AsyncGenerator[str, None]:
        headers = {"Content-Type": "application/json"}
        async with self._http.stream("POST", "chat/completions", content=body, headers=headers) as response:
            if response.is_error:
                await response.aread()
                raise _status_error(response, self.base_url)
            async for line in response.aiter_lines():
                if not line.startswith("data:"):
                    continue
                payload = line[5:].strip()
                if payload == "[DONE]":
                    break
                if text := assembler.feed(_parse_chunk(payload, self.base_url, has_begun=assembler.has_begun)):
                    yield text
        if not assembler.has_finished:
            if assembler.has_begun:
                raise _lost(self.base_url)
            raise self._unreachable(None)

    async def _pause(self, attempt: int, error: AegisError) -> None:
        """Wait before the next try, or raise `error` when this was the last."""
        if attempt + 1 >= self._attempts:
            raise error
        asked_s = error.data.get("retry_after_s")
        pause_s = min(asked_s if isinstance(asked_s, float) else self._backoff_s * 2**attempt, 10.0)
        _log.info("model retry", extra={"duration_s": pause_s, "error": error.code})
        await asyncio.sleep(pause_s)

    def _unreachable(self, error: httpx.HTTPError | None) -> ModelUnavailable:
        reason = f": {type(error).__name__}" if error else " before its reply began"
        return ModelUnavailable(
            f"the model server at {self.base_url} does not answer{reason}",
            "Check it with: aegis-tui doctor",
        )


def split_base_url(base_url: str) -> tuple[str, str | None]:
    """The URL that ends in `/v1/`, and the unix socket's path if `base_url` names one.

    Raises:
        UsageError: Neither http, https nor http+unix.
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
    return json.dumps(fields, ensure_ascii=False).encode("utf-8", "replace")


def _parse_chunk(payload: str, base_url: str, *, has_begun: bool) -> dict[str, Any]:
    try:
        chunk = json.loads(payload)
    except ValueError as error:
        raise ModelError(f"{base_url} sent a chunk that is not JSON", code="model.lost") from error
    if not isinstance(chunk, dict):
        raise ModelError(f"{base_url} sent a chunk that is not an object", code="model.lost")
    if problem := chunk.get("error"):
        detail = problem.get("message") if isinstance(problem, dict) else problem
        message = f"the model server at {base_url} stopped: {detail}"
        raise ModelError(message, code="model.lost") if has_begun else ModelUnavailable(message)
    return chunk


def _lost(base_url: str) -> ModelError:
    return ModelError(
        f"the model server at {base_url} was lost in the middle of a reply",
        "The reply is asked for again",
        code="model.lost",
    )


def _status_error(response: httpx.Response, base_url: str) -> AegisError:
    try:
        problem = response.json()
        detail = problem.get("error", problem)
        text = str(detail.get("message", detail) if isinstance(detail, dict) else detail)
    except (ValueError, AttributeError):
        text = response.text
    message = f"{base_url} answered {response.status_code}: {text[:500]}"
    if response.status_code not in _RETRIED_STATUS:
        return ModelError(message, status=response.status_code)
    retry_after = response.headers.get("retry-after", "")
    retry_after_s = float(retry_after) if retry_after.isdigit() else None
    return ModelUnavailable(message, status=response.status_code, retry_after_s=retry_after_s)
