"""Makes a long conversation shorter before it reaches the model's limit: views of files go first, then finished steps.

What the person and the hub said stays word for word.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from aegis_tui.agent.history import KEPT, Message, shorten, size_of
from aegis_tui.domain.cause import one_line

VIEWS = frozenset({"read", "signatures", "search"})
"""The tools whose results can be had again at any time."""

RECENT_TURNS = 3
"""How many of the model's last replies stay whole, with their results, while something else can go."""

STEPS = "\n\n# Finished steps\n\nThe conversation was too long; these steps of it are finished, the oldest first:\n"
"""Begins the summary, at the end of the first user message."""

_TOLD_PREFIX = "- you were told: "
_GONE = re.compile(r"- \((\d+) earlier steps\)")
_MOST_STEPS = 80
"""How many lines about the model's own steps stay. What it was told stays whole, and does not count."""

_LINE_CHARS = 200
_SMALL = 200


def compact(messages: Sequence[Message], limit_chars: int) -> list[Message]:
    """Return a copy of the conversation with at most about `limit_chars` characters, as `size_of` counts them.

    Until it fits: results that only show files are dropped, oldest first; then finished steps are replaced by a line
    each, in the first user message; then the rest is shortened (see `shorten`). The last `RECENT_TURNS` replies and
    what follows them stay whole in the first two steps. The first messages (system and brief) always stay.

    Args:
        messages: In the form of the chat completions API; every call has a result.
        limit_chars: The size to come down to; it can stay longer if only the newest messages are left.
    """
    short = [dict(message) for message in messages]
    replies = [place for place, message in enumerate(short) if message["role"] == "assistant"]
    recent = replies[-RECENT_TURNS] if len(replies) > RECENT_TURNS else KEPT
    _drop_views(short, recent, size_of(short) - limit_chars)
    if size_of(short) > limit_chars and recent > KEPT:
        short = _summarise(short, recent)
    return shorten(short, limit_chars)


def _drop_views(messages: list[Message], until: int, over: int) -> None:
    """Replace results of `VIEWS` before index `until` by a remark, oldest first, until `over` characters are saved."""
    calls = dict(_calls(messages[:until]))
    for place in range(KEPT, until):
        if over <= 0:
            return
        message, call = messages[place], calls.get(place)
        content = str(message.get("content") or "")
        if call is None or call["name"] not in VIEWS or len(content) <= _SMALL:
            continue
        messages[place] = {**message, "content": f"[{_shown(call)}: no longer shown; call it again if you need it]"}
        over -= len(content) - len(messages[place]["content"])


def _calls(messages: Sequence[Message]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Yield the index of each result of a tool, with the function of the call that it belongs to."""
    by_id: dict[str, Mapping[str, Any]] = {}
    for place, message in enumerate(messages):
        if message.get("tool_calls"):
            by_id = {call["id"]: call["function"] for call in message["tool_calls"]}
        elif message["role"] == "tool" and message["tool_call_id"] in by_id:
            yield place, by_id[message["tool_call_id"]]


def _summarise(messages: Sequence[Message], until: int) -> list[Message]:
    """Replace all messages from the brief to index `until` by lines at the end of the brief, after earlier ones."""
    brief, _, earlier = str(messages[KEPT - 1]["content"]).partition(STEPS)
    steps = [*(earlier.split("\n- ") if earlier else ()), *_steps(messages, until)]
    steps = _newest([step if step.startswith("- ") else f"- {step}" for step in steps])
    summary = {**messages[KEPT - 1], "content": f"{brief}{STEPS}" + "\n".join(steps)}
    return [*messages[: KEPT - 1], summary, *messages[until:]]


def _newest(steps: Sequence[str]) -> list[str]:
    """Return the steps without the oldest ones beyond `_MOST_STEPS`, whose number is said first.

    Those that quote what the model was told all stay.
    """
    gone = sum(int(match[1]) for step in steps if (match := _GONE.fullmatch(step)))
    steps = [step for step in steps if not _GONE.fullmatch(step)]
    over = sum(not step.startswith(_TOLD_PREFIX) for step in steps) - _MOST_STEPS
    kept: list[str] = []
    for step in steps:
        if over > 0 and not step.startswith(_TOLD_PREFIX):
            over, gone = over - 1, gone + 1
        else:
            kept.append(step)
    return [f"- ({gone} earlier steps)", *kept] if gone else kept


def _steps(messages: Sequence[Message], until: int) -> Iterator[str]:
    """Yield a step for each message from the brief to index `until`: one line, or several for what it was told."""
    calls = dict(_calls(messages[:until]))
    for place in range(KEPT, until):
        message = messages[place]
        content = str(message.get("content") or "")
        if message["role"] == "user":
            yield _TOLD_PREFIX + content.replace("\n", "\n  ")
        elif message["role"] == "assistant" and content.strip():
            yield f"- you said: {one_line(content, _LINE_CHARS)}"
        elif (call := calls.get(place)) is not None:
            result = "" if call["name"] in VIEWS else f" -> {_ending(content)}"
            yield f"- {_shown(call)}{result}"


def _shown(call: Mapping[str, Any]) -> str:
    """Return a call in one line: its name, and its first argument, which says what it is about."""
    arguments = json.loads(call["arguments"])
    first = next(iter(arguments.values()), "") if isinstance(arguments, dict) else ""
    return f"{call['name']} {one_line(str(first), _LINE_CHARS)}".strip()


def _ending(result: str) -> str:
    """Return the last lines of a result, where tools say how they ended, on one line."""
    lines = [line for line in result.splitlines() if line.strip()]
    return one_line("\n".join(lines[-2:]), _LINE_CHARS)
