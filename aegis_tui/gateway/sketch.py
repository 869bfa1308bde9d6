"""A prompt as hashes of its parts: enough to tell how much two prompts share, without keeping them (LLM-3).

The parts are in the order in which most chat templates put them: the system message, the tools, then the messages.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from aegis_tui.gateway.dialect import Dialect

BLOCK_CHARS = 256
"""Each part is hashed in blocks of this size; its last block may be shorter."""

MOST_PARTS = 4096
"""The messages of a longer conversation that come after these are left out."""
_MOST_ROLE_CHARS, _MOST_NAME_CHARS, _MOST_TOOLS = 32, 64, 256
"""Of what a client names; longer names and further tools are cut, since all of it is kept until the next prompt."""

Fields = dict[str, Any]

PROMPT_FIELDS = frozenset({"system", "instructions", "messages", "input", "tools"})
"""The fields of a request, of any dialect, that `texts_of` reads."""


class Text(NamedTuple):
    """One part of a prompt."""

    name: str
    """`system`, `tools`, or `message 3 (user)`, counted from 1."""
    text: str


class Part(NamedTuple):
    """A part as hashes, which are valid in this process only."""

    name: str
    size_chars: int
    whole: int
    """The hash of all of it."""
    blocks: tuple[int, ...]


class Sketch(NamedTuple):
    """A prompt as hashes."""

    model: str
    parts: tuple[Part, ...]
    tools: tuple[str, ...]
    """The names of the tools, in the order of the request."""

    @property
    def size_chars(self) -> int:
        """The size of the prompt in characters."""
        return sum(part.size_chars for part in self.parts)

    def chain(self) -> Iterator[int]:
        """Yield for each block of the prompt a hash of it and of everything before it, the model's name included.

        So two prompts have as many first values in common as they have blocks in common. The hashes hold in this
        process only.
        """
        chain = hash(self.model)
        for part in self.parts:
            for block in part.blocks:
                chain = hash((chain, block))
                yield chain


def texts_of(dialect: Dialect, fields: Fields) -> list[Text]:
    """Return the parts of a request's prompt as text, empty ones left out: system message, tools, then each message.

    What is no text is taken as JSON; messages after the first 4,094 are left out. Nothing is raised.

    Args:
        dialect: The API of the request; one of Google's is a `chat` by the time the model server gets it.
        fields: The fields of its body.
    """
    if dialect == "responses":
        system, messages = fields.get("instructions"), fields.get("input")
    else:
        system, messages = fields.get("system"), fields.get("messages")
    listed = messages if isinstance(messages, list) else [] if messages is None else [messages]
    if dialect == "chat" and listed and isinstance(listed[0], dict) and listed[0].get("role") == "system":
        system, listed = listed[0].get("content"), listed[1:]
    parts = [Text("system", _text(system)), Text("tools", _text(fields.get("tools")))]
    for number, message in enumerate(listed[: MOST_PARTS - len(parts)], 1):
        named = message.get("role") or message.get("type") if isinstance(message, dict) else None
        role = named[:_MOST_ROLE_CHARS] if isinstance(named, str) else "user"
        parts.append(Text(f"message {number} ({role})", _message_text(message)))
    return [part for part in parts if part.text]


def sketch_of(model: str, texts: list[Text], tools: tuple[str, ...], before: Sketch | None = None) -> Sketch:
    """Return a prompt as hashes of its parts, each in blocks of `BLOCK_CHARS` characters.

    Args:
        model: The model that it is for.
        texts: Its parts.
        tools: The names of its tools.
        before: An earlier prompt of the same caller; parts that it has too are not hashed in blocks again.
    """
    known = {part.name: part for part in before.parts} if before else {}
    parts = []
    for name, text in texts:
        whole, part = hash(text), known.get(name)
        if part is None or part.whole != whole or part.size_chars != len(text):
            blocks = tuple(hash(text[at : at + BLOCK_CHARS]) for at in range(0, len(text), BLOCK_CHARS))
            part = Part(name, len(text), whole, blocks)
        parts.append(part)
    return Sketch(model, tuple(parts), tools)


def tool_names(fields: Fields) -> tuple[str, ...]:
    """Return the names of the tools of a request, of any dialect, in its order; one without a name is left out.

    At most 256 tools count, and 64 characters of each name.
    """
    tools = fields.get("tools")
    names = []
    for tool in tools[:_MOST_TOOLS] if isinstance(tools, list) else ():
        if not isinstance(tool, dict):
            continue
        function = tool.get("function")
        name = function.get("name") if isinstance(function, dict) else tool.get("name")
        if isinstance(name, str) and name:
            names.append(name[:_MOST_NAME_CHARS])
    return tuple(names)


def _message_text(message: Any) -> str:
    """Return what counts of a message as text: its content, then as JSON all other fields but `role`.

    Of a message whose content is no text, all fields but `role` as JSON.
    """
    if not isinstance(message, dict):
        return _text(message)
    content = message.get("content")
    rest = {key: value for key, value in message.items() if key not in ("role", "content")}
    if isinstance(content, str):
        return content + (_text(rest) if rest else "")
    return _text({key: value for key, value in message.items() if key != "role"})


def _text(value: Any) -> str:
    if not value:
        return ""
    try:
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    except RecursionError:  # a depth that could just be parsed
        return "(nested too deeply)"
