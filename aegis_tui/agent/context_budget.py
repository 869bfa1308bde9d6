"""Decides when a conversation has to be made shorter, before the model's context is full (LLM-4)."""

from __future__ import annotations

from aegis_tui.agent.history import size_of
from aegis_tui.ports.llm import ChatModel, ChatReply, ChatRequest

FULL_SHARE = 0.8
"""The share of the model's context that a prompt may fill; the rest is for the reply."""

KEPT_SHARE = 0.5
"""The share of the context that a shortened prompt fills: a rarely changed beginning is what a prefix cache needs."""

_CHARS_PER_TOKEN = 3.0
"""Less than usual text has, so that an estimate is rather too large."""

_LEAST_TOKENS = 4_000
"""Shorter prompts fit the context of every model that can work here."""

_COUNTED_SHARE = 0.7
"""From this share on, the server is asked for the exact number instead of an estimate."""


class ContextBudget:
    """Compares the length of a conversation with the context of its model.

    Args:
        model: The client of the model server.
    """

    def __init__(self, model: ChatModel) -> None:
        self._model = model
        self._limits: dict[str, int | None] = {}
        self._known: tuple[int, int] | None = None

    async def share_to_keep(self, request: ChatRequest) -> float | None:
        """Return to which share of its size a conversation has to be shortened, from 0 to 1; None if it can stay.

        None as well if the server does not say how long the model's context is.

        Args:
            request: The next request, with the whole conversation.
        """
        tokens = self._estimate(request)
        if tokens < _LEAST_TOKENS:
            return None
        if request.model not in self._limits:
            self._limits[request.model] = await self._model.find_context_tokens(request.model)
        limit = self._limits[request.model]
        if limit is None or tokens < _COUNTED_SHARE * limit:
            return None
        tokens = await self._model.count_tokens(request) or tokens
        return KEPT_SHARE * limit / tokens if tokens > FULL_SHARE * limit else None

    def note(self, request: ChatRequest, reply: ChatReply) -> None:
        """Learn from a reply how many tokens its request had, if the server says so."""
        if reply.usage.prompt_tokens:
            self._known = (size_of(request.messages), reply.usage.prompt_tokens)

    def _estimate(self, request: ChatRequest) -> float:
        size = size_of(request.messages)
        if self._known is None:
            return (size + len(str(request.tools))) / _CHARS_PER_TOKEN
        known_size, tokens = self._known
        return tokens + (size - known_size) / _CHARS_PER_TOKEN
