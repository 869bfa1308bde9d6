"""A model server as the program uses it: a streamed chat reply with tool calls, and the names of its models."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

ChatMessage = Mapping[str, Any]
"""One message in the shape of OpenAI chat completions: role, content, tool_calls or tool_call_id."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts that the server reported for one or more replies."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.cached_tokens + other.cached_tokens,
        )

    def to_wire(self) -> dict[str, int]:
        """Return the counts under the keys `prompt`, `completion` and `cached`, as agent:report carries them."""
        return {"prompt": self.prompt_tokens, "completion": self.completion_tokens, "cached": self.cached_tokens}


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One tool call that the model requested. `arguments` is the text it wrote, which may not be valid JSON."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class TextDelta:
    """The next part of the reply's text."""

    text: str


@dataclass(frozen=True, slots=True)
class ChatReply:
    """A whole reply. `finish_reason` is as the server sent it: stop, tool_calls, length; empty when it sent none."""

    text: str
    tool_calls: tuple[ToolCall, ...] = ()
    finish_reason: str = ""
    usage: Usage = field(default_factory=Usage)
    has_thought: bool = False
    """Whether the model also sent reasoning, separate from its text."""


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One chat request. `tools` keep their order, because it decides what a prefix cache can reuse (LLM-3)."""

    model: str
    messages: Sequence[ChatMessage]
    tools: Sequence[Mapping[str, Any]] = ()
    max_tokens: int | None = None
    """The longest reply, in tokens; None for the server's own limit."""


_PING = {
    "type": "function",
    "function": {
        "name": "ping",
        "description": "Answers that it is there.",
        "parameters": {
            "type": "object",
            "properties": {"word": {"type": "string"}},
            "required": ["word"],
            "additionalProperties": False,
        },
    },
}


def ping_request(model: str, *, max_tokens: int | None = None) -> ChatRequest:
    """Return a small chat request that declares one tool, `ping`, and asks the model to call it; nothing is sent.

    Args:
        model: The name of the model.
        max_tokens: The longest reply, in tokens; None for the server's own limit.
    """
    words = "Call the tool ping with the word ready. Say nothing else."
    return ChatRequest(model, [{"role": "user", "content": words}], [_PING], max_tokens)


class ChatModel(Protocol):
    """A model behind an OpenAI-compatible API. Raises only `ModelUnavailable` and `ModelError`."""

    async def list_models(self) -> list[str]:
        """Return the names of the server's models, in its order; may be empty.

        Raises:
            ModelUnavailable: No answer, or a temporary refusal, after all retries.
            ModelRefused: The server refused the request.
            ModelMalformed: The answer is no list of models.
        """
        ...

    async def find_context_tokens(self, model: str) -> int | None:
        """Return how many tokens the context of a model has, prompt and reply together; None if that is not known.

        Raises nothing.
        """
        ...

    async def count_tokens(self, request: ChatRequest) -> int | None:
        """Return the number of tokens of a request's prompt; None if the server does not count. Raises nothing."""
        ...

    def stream(self, request: ChatRequest) -> AsyncGenerator[TextDelta | ChatReply, None]:
        """Yield the text as it arrives, in order (must-deliver), then exactly one `ChatReply`.

        Raises:
            ModelUnavailable: No answer, or a temporary refusal, after all retries; nothing was yielded before.
            ModelRefused: The server refused the request (`data['status']`); the subclasses give the reason.
            ModelMalformed: The reply cannot be parsed.
            ModelLost: The connection was lost after the reply had begun.
        """
        ...

    async def close(self) -> None:
        """Close the connections; a second call does nothing."""
        ...
