"""Tool calls that a model wrote as plain text because its server did not parse them (hermes form).

A call is accepted only where the text can mean nothing else: after the thoughts, at the end of the reply, the first
block on its own line, with a known tool and arguments that fit its schema. A text that only mentions calls holds none.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from typing import Any

from aegis_tui.domain.tool.model import parse_arguments
from aegis_tui.domain.tool.reading import read_arguments, read_name
from aegis_tui.errors import UsageError

_OPEN = re.compile(r"(?:\A|\n)[ \t]*<tool_call>")
_BLOCK = re.compile(r"\s*<tool_call>\s*")
_CLOSE = re.compile(r"\s*</tool_call>")
_REST = re.compile(r"(\s|<\|[^|<>]{0,40}\|>)*")


def read_text_calls(
    text: str, *, allowed: Collection[str], is_cut: bool = False
) -> tuple[str, list[tuple[str, str]]] | None:
    """Return the text before the calls of a reply, and each call's name and arguments; None without a certain call.

    Arguments are JSON text that fits the tool. One call that is not certain makes all of them uncertain.

    Args:
        text: The whole text of a reply.
        allowed: Names of the available tools.
        is_cut: Whether the reply reached a token limit: then a block that is not closed may be incomplete.
    """
    visible = without_thoughts(text)
    opened = _OPEN.search(visible)
    if opened is None or visible.count("```", 0, opened.start()) % 2:
        return None
    calls: list[tuple[str, str]] = []
    place = opened.start()
    while block := _BLOCK.match(visible, place):
        decoded = _object_at(visible, block.end())
        call = _call_of(decoded[0], allowed) if decoded else None
        if decoded is None or call is None:
            return None
        calls.append(call)
        closed = _CLOSE.match(visible, decoded[1])
        if closed is None:
            place = decoded[1]
            break
        place = closed.end()
    closed_all = visible[:place].rstrip().endswith("</tool_call>")
    if not calls or not _REST.fullmatch(visible, place) or (is_cut and not closed_all):
        return None
    return visible[: opened.start()].strip(), calls


def without_thoughts(text: str) -> str:
    """Return the text without what is between `<think>` and `</think>`; a server may have left out either mark.

    Without the first mark all up to the second is left out, without the second all from the first on.
    """
    head, mark, rest = text.partition("</think>")
    if mark and "<think>" not in head:
        text = rest
    return re.sub(r"<think>.*?(</think>|\Z)", "", text, flags=re.DOTALL)


def ends_in_thought(text: str) -> bool:
    """Return whether a text ends inside `<think>`: without a `</think>` after the last one."""
    return text.rfind("<think>") > text.rfind("</think>")


def _object_at(text: str, place: int) -> tuple[dict[str, Any], int] | None:
    try:
        value, end = json.JSONDecoder(strict=False).raw_decode(text, place)
    except (ValueError, RecursionError):
        return None
    return (value, end) if isinstance(value, dict) else None


def _call_of(fields: dict[str, Any], allowed: Collection[str]) -> tuple[str, str] | None:
    name, arguments = fields.get("name"), fields.get("arguments", fields.get("parameters", {}))
    if not isinstance(name, str) or not isinstance(arguments, dict | str):
        return None
    name = read_name(name, allowed=allowed)
    text = read_arguments(name, arguments if isinstance(arguments, str) else json.dumps(arguments))
    try:
        parse_arguments(name, text, allowed=allowed)
    except UsageError:
        return None
    return name, text
