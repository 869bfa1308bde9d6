"""How the scripted server produces one reply: its pace, its end at the token limit, and what the meters count.

The pieces of a reply are the same in every dialect; the modules `scripted_chat`, `scripted_messages`,
`scripted_responses` and `scripted_google` put them in the words of each.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Literal, NamedTuple

from aegis_tui.testing.scripted_meters import Meters, PrefixCache, render_turn, split_tokens
from aegis_tui.testing.scripted_request import ScriptedRequest, ScriptedToolCall

TICK_S = 0.03
"""Seconds between two pieces of a reply with a pace, whatever the pace is."""
UNPACED_PIECE_TOKENS = 24


class ReplyPart(NamedTuple):
    """A part of a reply, in order: parts of the text, then of each call."""

    text: str
    """Part of the text, or of a call's arguments; empty in the piece that opens a call."""
    call: int | None = None
    """The index of the call that it belongs to; None for the text."""
    opens: bool = False
    """Whether it is the first piece of the text or of a call."""


class Whole(NamedTuple):
    """All that was said: less than the script's step if the token limit cut it off."""

    text: str
    arguments: list[str]
    """The JSON of each call that was begun."""


class Generation:
    """Produces one reply; `running` encloses its time, and within it `pieces` may be read once.

    Args:
        request: The request.
        content: The text of the reply.
        calls: The calls of the reply, after the text.
        number: The number of this request at its server; ids are made from it.
        model: The model's name.
        prompt: The prompt's tokens.
        pace: Tokens per second; None for no limit.
        meters: Counts tokens and times.
        cache: The prefix cache.
        slots: Limits how many replies are produced at once.
        arrived_at: The monotonic time at which the request arrived, plus the time that it was held at a gate.
    """

    def __init__(
        self,
        request: ScriptedRequest,
        content: str,
        calls: Sequence[ScriptedToolCall],
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
        self.request = request
        self.calls = tuple(calls)
        self.number = number
        self.model = model
        self.created = int(time.time())
        self.prompt_tokens = len(prompt)
        self.cached_tokens = 0
        """Prompt tokens from the prefix cache; known once it runs."""
        self.said_tokens = 0
        self.end: Literal["stop", "tool_calls", "length"] = "tool_calls" if calls else "stop"
        """Why it ends, in the words of chat completions; final after the last piece."""
        self._content = content
        self._prompt = prompt
        self._pace = pace
        self._meters = meters
        self._cache = cache
        self._slots = slots
        self._arrived_at = arrived_at

    def call_id(self, index: int) -> str:
        """Return the id of the call with this index, the same each time."""
        return f"call-{self.number}-{index}"

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Wait for a slot, count the request as running, and at the end as finished; after an error, as aborted."""
        self._meters.waiting["capacity"] += 1
        try:
            await self._slots.acquire()
        finally:
            self._meters.waiting["capacity"] -= 1
        meters = self._meters
        self.cached_tokens = self._cache.add(self._prompt)
        meters.prefix_queries += len(self._prompt)
        meters.prefix_hits += self.cached_tokens
        meters.running += 1
        meters.used_tokens += len(self._prompt)
        ended = "abort"
        try:
            yield
            ended = "length" if self.end == "length" else "stop"
        finally:
            meters.running -= 1
            meters.used_tokens -= len(self._prompt) + self.said_tokens
            meters.finished[ended] += 1
            self._slots.release()
            self._cache.add([*self._prompt, *split_tokens(render_turn(self._message()) + "<|im_end|>\n")])

    async def pieces(self) -> AsyncIterator[ReplyPart]:
        """Yield the reply at its pace, until its end or the request's token limit, which sets `end` to `length`.

        Call it once, within `running`.
        """
        size = max(1, round(self._pace * TICK_S)) if self._pace else UNPACED_PIECE_TOKENS
        limit = self.request.max_tokens
        started_at = time.monotonic()
        for piece, tokens in self._all_pieces(size):
            if limit is not None and self.said_tokens + tokens > limit:
                self.end = "length"
                return
            due_at = started_at + (self.said_tokens + tokens) / self._pace if self._pace else 0.0
            await asyncio.sleep(max(0.0, due_at - time.monotonic()))
            if self.said_tokens == 0:
                self._meters.first_token(time.monotonic() - self._arrived_at)
            self.said_tokens += tokens
            self._meters.generation_tokens += tokens
            self._meters.used_tokens += tokens
            yield piece

    async def whole(self) -> Whole:
        """Run the generation and return what it says, after the time that a stream would take; call it once.

        That is not all of the reply if the request's token limit cut it off; then `end` is `length`.
        """
        said = Whole("", [])
        async with self.running():
            async for piece in self.pieces():
                if piece.call is None:
                    said = said._replace(text=said.text + piece.text)
                elif piece.opens:
                    said.arguments.append("")
                else:
                    said.arguments[piece.call] += piece.text
        return said

    def _all_pieces(self, size: int) -> Iterator[tuple[ReplyPart, int]]:
        """Yield the reply in pieces of at most `size` tokens, each with its number of tokens.

        The text comes first, then each call: a piece that opens it, without text, which counts as one token, and the
        pieces of its arguments.
        """
        for start, text, tokens in _split(self._content, size):
            yield ReplyPart(text, opens=start == 0), tokens
        for index, call in enumerate(self.calls):
            yield ReplyPart("", index, opens=True), 1
            for _, text, tokens in _split(call.arguments, size):
                yield ReplyPart(text, index), tokens

    def _message(self) -> dict[str, Any]:
        functions = [{"name": call.flat_name, "arguments": call.arguments} for call in self.calls]
        return {"content": self._content, "tool_calls": [{"function": function} for function in functions]}


def _split(text: str, size: int) -> Iterator[tuple[int, str, int]]:
    tokens = split_tokens(text)
    for start in range(0, len(tokens), size):
        part = tokens[start : start + size]
        yield start, "".join(part), len(part)
