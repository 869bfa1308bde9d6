"""Shows in the pane what a program reports over ACP while it works, and keeps what its instance needs of it (AGENT-3).

See https://agentclientprotocol.com/protocol/prompt-turn and https://agentclientprotocol.com/protocol/tool-calls.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any, Final, Literal, NamedTuple

from aegis_tui.agent.screen import Screen

_SAID_CHARS = 4000
_PATHS = 64
_CALLS = 1000
"""So many tool calls of a turn are known by their id; of older ones, an update is shown without its title."""
_ENTRIES = 50
_NAME_CHARS = 300
_PATH_CHARS = 4096
"""A longer path is left out; no file has one."""
_WRITES: Final = frozenset({"edit", "delete", "move"})
_VERBS: Final[Mapping[str, str]] = {
    "read": "Reading",
    "edit": "Editing",
    "delete": "Deleting",
    "move": "Moving",
    "search": "Searching",
    "execute": "Running",
    "think": "Thinking",
    "fetch": "Fetching",
    "switch_mode": "Mode",
}
_MARKS: Final[Mapping[str, str]] = {"completed": "[x]", "in_progress": "[>]"}


Does = Literal["writes", "runs", "reads"]
"""Whether a tool call changes files, runs a command, or does anything else."""


class Act(NamedTuple):
    """A tool call of the program, as it reports it."""

    does: Does
    name: str
    """Its title or kind; it may hold hidden characters."""
    paths: tuple[str, ...]
    """The files that it names, as they are there."""


class AcpView:
    """The view of one session.

    Args:
        screen: The pane.
        on_act: Takes each tool call when it becomes known, and again when it names more files.
    """

    def __init__(self, screen: Screen, on_act: Callable[[Act], None]) -> None:
        self._screen, self._on_act = screen, on_act
        self._titles: dict[str, str] = {}
        self._kinds: dict[str, str] = {}
        self._diffs: set[tuple[str, str]] = set()
        self._plan: list[str] = []
        self._is_thinking = False
        self.is_muted = False
        """Whether updates are only a repetition of what was shown before."""
        self.taken = 0
        """The number of updates that the program has sent since it was started, shown or not."""
        self.said = ""
        """The newest message of the program in this turn, its first 4,000 characters."""
        self.stirred = asyncio.Event()
        """Set by the first update of a turn: the program has got its prompt."""
        self.context: tuple[int, int] | None = None
        """The tokens of its context that are used, and that there are; None if it says nothing about that."""

    def begin_turn(self) -> None:
        """Forget the messages and tool calls of the turn before."""
        self.said, self._is_thinking = "", False
        self._titles.clear()
        self._kinds.clear()
        self._diffs.clear()
        self.stirred.clear()

    def end_turn(self) -> None:
        """Complete the line that is being written, and show how full the context is, if that is known."""
        self._screen.end_stream()
        if self.context is not None:
            used, size = self.context
            self._screen.action("Context", f"{used:,} of {size:,} tokens, {100 * used // size}%")

    def take(self, update: object) -> None:
        """Show one update of the session; what has another form than the protocol says is left out. Never raises."""
        self.taken += 1
        if self.is_muted or not isinstance(update, dict):
            return
        kind = _text(update, "sessionUpdate")
        if kind in ("agent_message_chunk", "agent_thought_chunk", "tool_call", "tool_call_update", "plan"):
            self.stirred.set()
        if kind == "agent_message_chunk":
            self._say(_text(update.get("content"), "text"))
        elif kind == "agent_thought_chunk":
            self._think()
        elif kind in ("tool_call", "tool_call_update"):
            self._call(update)
        elif kind == "plan":
            self._show_plan(update.get("entries"))
        elif kind == "usage_update":
            self._count(update)

    def _say(self, text: str) -> None:
        if text:
            self._is_thinking = False
            self._screen.stream(text)
            self.said = (self.said + text)[:_SAID_CHARS]

    def _think(self) -> None:
        if not self._is_thinking:
            self._is_thinking = True
            self._screen.action("Thinking", "")

    def _call(self, update: Mapping[str, Any]) -> None:
        number, title = _text(update, "toolCallId")[:_NAME_CHARS], _one_line(_text(update, "title"))[:_NAME_CHARS]
        kind = _text(update, "kind")[:_NAME_CHARS] or self._kinds.get(number, "")
        self._is_thinking = False
        if number not in self._titles:
            self.said = ""
        is_new = number not in self._titles or (title and title != self._titles[number])
        paths = tuple(_paths_of(update))
        if is_new and len(self._titles) < _CALLS:
            self._titles[number], self._kinds[number] = title, kind
            self._screen.action(_VERBS.get(kind, "Tool"), title or kind)
        if is_new or paths:
            does: Does = "writes" if kind in _WRITES else "runs" if kind == "execute" else "reads"
            self._on_act(Act(does, title or self._titles.get(number, "") or kind, paths))
        self._show_content(number, update.get("content"), _text(update, "status"))

    def _show_content(self, number: str, content: object, status: str) -> None:
        """Show the diffs of a tool call once each, at most 1,000 in a turn, and at its end what it printed."""
        parts = [part for part in content if isinstance(part, dict)] if isinstance(content, list) else []
        for part in islice(parts, _PATHS):
            path = _text(part, "path")[:_PATH_CHARS]
            if part.get("type") == "diff" and (number, path) not in self._diffs and len(self._diffs) < _CALLS:
                self._diffs.add((number, path))
                self._screen.diff(_text(part, "oldText"), _text(part, "newText"))
        if status in ("completed", "failed"):
            texts = [_text(part.get("content"), "text") for part in parts if part.get("type") == "content"]
            if status == "failed":
                self._screen.problem(f"{self._titles.get(number) or 'the tool'} failed")
            if any(texts):
                self._screen.output("\n".join(filter(None, texts)))

    def _show_plan(self, entries: object) -> None:
        """Show the program's plan if it has changed: one line for each step, with a mark for its state."""
        steps = [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
        marks = [_MARKS.get(_text(step, "status"), "[ ]") for step in steps]
        words = (_one_line(_text(step, "content"))[:_NAME_CHARS] for step in steps)
        head = f"{marks.count('[x]')} of {len(steps)} steps done"
        lines = [head, *(f"{mark} {text}" for mark, text in islice(zip(marks, words, strict=True), _ENTRIES))]
        if steps and lines != self._plan:
            self._plan = lines
            self._screen.action("Plan", head)
            self._screen.output("\n".join(lines[1:]))

    def _count(self, update: Mapping[str, Any]) -> None:
        used, size = update.get("used"), update.get("size")
        if isinstance(used, int) and isinstance(size, int) and 0 <= used < 1 << 40 and 0 < size < 1 << 40:
            self.context = (used, size)


def _text(value: object, name: str) -> str:
    """Return the text of a field; empty if `value` is no object, or the field is missing or no text."""
    text = value.get(name) if isinstance(value, dict) else None
    return text if isinstance(text, str) else ""


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _paths_of(update: Mapping[str, Any]) -> list[str]:
    """Return the paths that a tool call names, in its locations and in its diffs; at most 64 of each."""
    paths = []
    for name in ("locations", "content"):
        parts = update.get(name)
        if isinstance(parts, list):
            named = (_text(part, "path") for part in islice(parts, _PATHS))
            paths += [path for path in named if 0 < len(path) <= _PATH_CHARS]
    return paths
