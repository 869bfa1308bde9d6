"""What the product needs of a model server: a streamed chat reply with tool calls, and the names it serves."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

ChatMessage = Mapping[str, Any]
"""One message in the shape of OpenAI chat completions: role, content, tool_calls or tool_call_id."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens that the server counted for one or more replies."""

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
        """The `tokens` field of agent:report (contract 5): prompt, completion, cached."""
        return {"prompt": self.prompt_tokens, "completion": self.completion_tokens, "cached": self.cached_tokens}


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One call that the model asked for. `arguments` is the text it wrote, which need not be JSON."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class TextDelta:
    """A piece of the reply's text, in order."""

    text: str


@dataclass(frozen=True, slots=True)
class ChatReply:
    """A whole reply. `finish_reason` is the server's word: stop, tool_calls, length, or empty when it gave none."""

    text: str
    tool_calls: tuple[ToolCall, ...] = ()
    finish_reason: str = ""
    usage: Usage = field(default_factory=Usage)
    has_thought: bool = False
    """Whether the model wrote thoughts apart from its text."""


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One request. `tools` keep their order, which decides what a prefix cache can reuse (LLM-3)."""

    model: str
    messages: Sequence[ChatMessage]
    tools: Sequence[Mapping[str, Any]] = ()
    max_tokens: int | None = None
    """The longest reply that is wanted; the server's own limit when None."""


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
    """The smallest request that a model answers with a tool call: the tool `ping`, with one word."""
    words = "Call the tool ping with the word ready. Say nothing else."
    return ChatRequest(model, [{"role": "user", "content": words}], [_PING], max_tokens)


class ChatModel(Protocol):
    """A model behind an OpenAI-compatible API. Raises only `ModelUnavailable` and `ModelError`."""

    async def list_models(self) -> list[str]:
        """The names that the server serves, in its order."""
        ...

    def stream(self, request: ChatRequest) -> AsyncGenerator[TextDelta | ChatReply, None]:
        """Text as it comes, must-deliver and in order, then exactly one `ChatReply`.

        Raises:
            ModelUnavailable: No answer, or a refusal for now, after the bounded retries; nothing was yielded before.
            ModelRefused: The server refused the request (`data['status']`); its subclasses say why.
            ModelMalformed: What it sent cannot be read.
            ModelLost: It was lost after the reply had begun.
        """
        ...

    async def close(self) -> None:
        """Close the connections. Safe to call twice."""
        ...
