"""One chat completion of the scripted server: checks the request as vLLM does, replies at once or as a stream."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from pydantic import BaseModel, Field, ValidationError

from aegis_tui.testing.scenario import Step
from aegis_tui.testing.scripted_meters import Meters, PrefixCache, render_turn, split_tokens

TICK_S = 0.03
"""Seconds between two chunks of a stream with a pace, whatever the pace is."""
UNPACED_CHUNK_TOKENS = 24
FINGERPRINT = "scripted"


class ChatError(Exception):
    """An error that is sent to the client in vLLM's form."""

    def __init__(
        self, message: str, *, status: int = 400, kind: str = "BadRequestError", param: str | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.param = param

    def to_wire(self) -> dict[str, Any]:
        """Return the error object for the response body."""
        return {"message": str(self), "type": self.kind, "param": self.param, "code": self.status}


class _Function(BaseModel):
    name: str = Field(min_length=1)
    parameters: dict[str, Any] | None = None


class _Tool(BaseModel):
    type: str = "function"
    function: _Function


class _StreamOptions(BaseModel):
    include_usage: bool = False
    continuous_usage_stats: bool = False


class _Body(BaseModel):
    """The fields that are checked; others are accepted and ignored, as by a model server."""

    model: str | None = None
    messages: list[dict[str, Any]] = Field(min_length=1)
    tools: list[_Tool] | None = None
    stream: bool = False
    stream_options: _StreamOptions | None = None
    max_tokens: int | None = Field(default=None, ge=1)
    max_completion_tokens: int | None = Field(default=None, ge=1)


class ChatRequest:
    """A checked request. `messages` and `tools` are unchanged, because the prompt is built from them."""

    def __init__(self, raw: dict[str, Any], body: _Body) -> None:
        self.messages = body.messages
        self.tools = raw.get("tools")
        self.model = body.model
        self.stream = body.stream
        self.options = body.stream_options or _StreamOptions()
        self.max_tokens = body.max_completion_tokens or body.max_tokens

    @staticmethod
    def body_of(data: bytes) -> dict[str, Any]:
        """Return the JSON object of a body.

        Raises:
            ChatError: The body is not JSON, or not an object.
        """
        try:
            body = json.loads(data)
        except ValueError as error:
            raise ChatError(f"the body is not JSON: {error}") from error
        if not isinstance(body, dict):
            raise ChatError("the body must be a JSON object")
        return body

    @classmethod
    def parse(cls, data: bytes) -> ChatRequest:
        """Check a body and return the request.

        Raises:
            ChatError: It is not JSON, or a field is not valid; the message names the field.
        """
        raw = cls.body_of(data)
        try:
            request = cls(raw, _Body.model_validate(raw))
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(map(str, first["loc"]))
            raise ChatError(f"{field}: {first['msg']}", param=field) from error
        if any(not isinstance(message.get("role"), str) for message in request.messages):
            raise ChatError("messages: each needs a role", param="messages")
        return request


class Completion:
    """Sends one step of a script as the reply to a request.

    Args:
        request: The request.
        step: The step to reply with.
        number: The number of this request at its server; ids are made from it.
        model: The model's name.
        prompt: The prompt's tokens.
        pace: Tokens per second; None for no limit.
        meters: Counts tokens and times.
        cache: The prefix cache.
        slots: Limits how many completions run at once.
        arrived_at: The monotonic time at which the request arrived, plus the time that it was held at a gate.
    """

    def __init__(
        self,
        request: ChatRequest,
        step: Step,
        *,
        number: int,
        model: str,
        prompt: Sequence[str],
        pace: float | None,
        meters: Meters,
        cache: PrefixCache,
        slots: asyncio.Semaphore,
        arrived_at: float,
    ) -> None:
        self._request = request
        self._step = step
        self._number = number
        self._model = model
        self._prompt = prompt
        self._pace = pace
        self._meters = meters
        self._cache = cache
        self._slots = slots
        self._arrived_at = arrived_at
        self._created = int(time.time())
        self._cached_tokens = 0
        self._said_tokens = 0
        self._finish_reason = "tool_calls" if step.tool_calls else "stop"

    async def whole(self) -> dict[str, Any]:
        """Return the reply as one object, after the time that streaming it would take."""
        message: dict[str, Any] = {"role": "assistant", "content": ""}
        calls: list[dict[str, Any]] = []
        async with self._running():
            async for delta in self._paced():
                message["content"] += delta.get("content", "")
                for part in delta.get("tool_calls", ()):
                    if part["index"] == len(calls):
                        calls.append({"id": part["id"], "type": "function", "function": dict(part["function"])})
                    else:
                        calls[part["index"]]["function"]["arguments"] += part["function"]["arguments"]
        message["content"] = message["content"] or None
        choice = {"index": 0, "message": {**message, "tool_calls": calls}, "finish_reason": self._finish_reason}
        return {**self._head("chat.completion"), "choices": [choice], "usage": self._usage()}

    async def stream(self) -> AsyncGenerator[bytes, None]:
        """Yield the reply as server-sent events; the last one is ``[DONE]``."""
        options = self._request.options
        async with self._running():
            yield self._event({"role": "assistant", "content": ""})
            async for delta in self._paced():
                yield self._event(delta)
            yield self._event({}, self._finish_reason)
            if options.include_usage:
                yield self._line({**self._head("chat.completion.chunk"), "choices": [], "usage": self._usage()})
        yield b"data: [DONE]\n\n"

    @asynccontextmanager
    async def _running(self) -> AsyncIterator[None]:
        """Wait for a slot, count the request as running, and at the end as finished or aborted."""
        self._meters.waiting["capacity"] += 1
        try:
            await self._slots.acquire()
        finally:
            self._meters.waiting["capacity"] -= 1
        meters = self._meters
        self._cached_tokens = self._cache.add(self._prompt)
        meters.prefix_queries += len(self._prompt)
        meters.prefix_hits += self._cached_tokens
        meters.running += 1
        meters.used_tokens += len(self._prompt)
        ended = "abort"
        try:
            yield
            ended = "length" if self._finish_reason == "length" else "stop"
        finally:
            meters.running -= 1
            meters.used_tokens -= len(self._prompt) + self._said_tokens
            meters.finished[ended] += 1
            self._slots.release()
            self._cache.add([*self._prompt, *split_tokens(render_turn(self._message()) + "<|im_end|>\n")])

    async def _paced(self) -> AsyncIterator[dict[str, Any]]:
        size = max(1, round(self._pace * TICK_S)) if self._pace else UNPACED_CHUNK_TOKENS
        limit = self._request.max_tokens
        started_at = time.monotonic()
        for delta, tokens in self._deltas(size):
            if limit is not None and self._said_tokens + tokens > limit:
                self._finish_reason = "length"
                return
            due_at = started_at + (self._said_tokens + tokens) / self._pace if self._pace else 0.0
            await asyncio.sleep(max(0.0, due_at - time.monotonic()))
            if self._said_tokens == 0:
                self._meters.first_token(time.monotonic() - self._arrived_at)
            self._said_tokens += tokens
            self._meters.generation_tokens += tokens
            self._meters.used_tokens += tokens
            yield delta

    def _deltas(self, size: int) -> Iterator[tuple[dict[str, Any], int]]:
        """Yield the reply in parts of at most `size` tokens, each with its number of tokens."""
        for text, tokens in _pieces(self._step.content, size):
            yield {"content": text}, tokens
        for index, call in enumerate(self._message()["tool_calls"]):
            function = {"name": call["function"]["name"], "arguments": ""}
            yield {"tool_calls": [{"index": index, "id": call["id"], "type": "function", "function": function}]}, 1
            for text, tokens in _pieces(call["function"]["arguments"], size):
                yield {"tool_calls": [{"index": index, "function": {"arguments": text}}]}, tokens

    def _message(self) -> dict[str, Any]:
        calls = [
            {
                "id": f"call-{self._number}-{index}",
                "type": "function",
                "function": {"name": call.tool, "arguments": json.dumps(call.args, ensure_ascii=False)},
            }
            for index, call in enumerate(self._step.tool_calls)
        ]
        return {"content": self._step.content, "tool_calls": calls}

    def _usage(self) -> dict[str, Any]:
        return {
            "prompt_tokens": len(self._prompt),
            "completion_tokens": self._said_tokens,
            "total_tokens": len(self._prompt) + self._said_tokens,
            "prompt_tokens_details": {"cached_tokens": self._cached_tokens},
        }

    def _head(self, kind: str) -> dict[str, Any]:
        return {
            "id": f"chatcmpl-scripted-{self._number}",
            "object": kind,
            "created": self._created,
            "model": self._model,
            "system_fingerprint": FINGERPRINT,
        }

    def _event(self, delta: dict[str, Any], finish_reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
        chunk = {**self._head("chat.completion.chunk"), "choices": [choice]}
        if self._request.options.include_usage and self._request.options.continuous_usage_stats:
            chunk["usage"] = self._usage()
        return self._line(chunk)

    @staticmethod
    def _line(data: dict[str, Any]) -> bytes:
        return b"data: " + json.dumps(data, ensure_ascii=False).encode() + b"\n\n"


def _pieces(text: str, size: int) -> Iterator[tuple[str, int]]:
    tokens = split_tokens(text)
    for start in range(0, len(tokens), size):
        part = tokens[start : start + size]
        yield "".join(part), len(part)
