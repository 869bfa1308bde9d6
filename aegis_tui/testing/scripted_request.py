"""A model request in one form for every dialect of the scripted server, and the error that refuses one.

The form is that of OpenAI's chat completions: the other dialects are translated to it, so that scenarios and prompt
tokens do not depend on the client's dialect.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

from pydantic import BaseModel, ValidationError


class ChatError(Exception):
    """An error that is sent to the client in the form of its dialect; `kind` and `param` are vLLM's words for it."""

    def __init__(
        self, message: str, *, status: int = 400, kind: str = "BadRequestError", param: str | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.param = param


@dataclass(frozen=True)
class OfferedTool:
    """A tool that a request offers to the model."""

    name: str
    schema: Mapping[str, Any]
    """JSON Schema of its arguments."""
    namespace: str | None = None
    """The group that the tool is in (OpenAI Responses, as Codex sends its MCP tools); None for other tools."""

    @property
    def flat_name(self) -> str:
        """The name with its namespace, as one word."""
        return f"{self.namespace}__{self.name}" if self.namespace else self.name


@dataclass(frozen=True)
class ScriptedToolCall:
    """A call of the scripted model, with the name and the arguments that the client expects."""

    name: str
    args: Mapping[str, Any]
    namespace: str | None = None

    @property
    def flat_name(self) -> str:
        """The name with its namespace, as one word."""
        return f"{self.namespace}__{self.name}" if self.namespace else self.name

    @property
    def arguments(self) -> str:
        """The arguments as JSON text."""
        return dump_json(self.args)


@dataclass(frozen=True)
class ScriptedRequest:
    """A checked request."""

    messages: list[dict[str, Any]]
    """The conversation in the form of chat completions, oldest message first."""
    tools: object = None
    """The tools exactly as the client sent them, because the prompt is built from them."""
    offered: tuple[OfferedTool, ...] = ()
    """The tools that the model may call."""
    model: str | None = None
    """The model that the client asked for; None if any will do."""
    stream: bool = False
    max_tokens: int | None = None
    include_usage: bool = False
    """Whether a stream of chat completions ends with the usage."""
    continuous_usage: bool = False
    """Whether each chunk of that stream has the usage so far."""


class Result(NamedTuple):
    """What a tool returned."""

    call_id: str
    text: str


@dataclass
class ScriptedConversation:
    """Collects messages in the form of chat completions."""

    messages: list[dict[str, Any]] = field(default_factory=list)

    def say(self, texts: Sequence[str]) -> None:
        """Add texts of the assistant, to its unfinished turn if the last message is one, else as a new turn."""
        self._turn()["content"] += "".join(texts)

    def call(self, call_id: str, name: str, arguments: str) -> None:
        """Add a tool call of the assistant, to its unfinished turn if the last message is one, else as a new turn.

        Args:
            call_id: Its id.
            name: The tool's name.
            arguments: JSON text.
        """
        function = {"name": name, "arguments": arguments}
        self._turn().setdefault("tool_calls", []).append({"id": call_id, "type": "function", "function": function})

    def hear(self, role: str, parts: Iterable[str | Result]) -> None:
        """Add what the model is told, in order: each result is a message, and so are the texts between two results.

        Args:
            role: The role of the texts, `user` or `system`.
            parts: Texts, and results of tool calls.
        """
        texts: list[str] = []
        for part in parts:
            if isinstance(part, str):
                texts.append(part)
                continue
            self._add_heard(role, texts)
            texts = []
            self.messages.append({"role": "tool", "tool_call_id": part.call_id, "content": part.text})
        self._add_heard(role, texts)

    def _add_heard(self, role: str, texts: Sequence[str]) -> None:
        if texts:
            self.messages.append({"role": role, "content": _content(texts)})

    def _turn(self) -> dict[str, Any]:
        if not self.messages or self.messages[-1]["role"] != "assistant":
            self.messages.append({"role": "assistant", "content": ""})
        return self.messages[-1]


def _content(texts: Sequence[str]) -> str | list[dict[str, str]]:
    """Return one text as it is, and several as parts, so that the border between them is kept."""
    if len(texts) == 1:
        return texts[0]
    return [{"type": "text", "text": text} for text in texts]


def parse_object(data: bytes) -> dict[str, Any]:
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


_Body = TypeVar("_Body", bound=BaseModel)


def check_body(model: type[_Body], raw: dict[str, Any]) -> _Body:
    """Return the fields of a body that the server reads; others are accepted and ignored, as by a model server.

    Raises:
        ChatError: A field is missing or not valid; the message names it.
    """
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"]))
        raise ChatError(f"{name}: {first['msg']}", param=name) from error


def dump_json(value: object) -> str:
    """Return a value as JSON text, with characters beyond ASCII as they are; arguments are written so."""
    return json.dumps(value, ensure_ascii=False)


def parse_arguments(text: str) -> dict[str, Any]:
    """Return the arguments of a call; empty if they were cut off at the token limit."""
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def event_bytes(data: Mapping[str, Any], name: str | None = None) -> bytes:
    """Return one server-sent event with JSON data. Source: WHATWG HTML, 9.2."""
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {dump_json(data)}\n\n".encode()
