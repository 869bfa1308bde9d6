"""What the built-in agent calls in each way to do a task of `tokens_task.py`.

`lines` is the agent without a map. It searches for the function, with the narrowest of three patterns that finds the
definition and both calls. It reads 81 lines around each of the three places, changes each call as soon as it has read
it, and submits: 7 requests. It reads nothing twice, and nothing after a change.

`map` asks for the callers. The answer has the code of the function, or its signature and documentation if it has more
than 40 lines, and each call with the signature around it and two lines before and after it. It changes both calls and
submits: 4 requests. It reads no more of the two callers, which is what the map is for. For a change that needs more,
`map_read` reads a long function and both callers whole by `PATH:SYMBOL`: 6 or 7 requests.

`lines_together` and `map_together` make all calls in one reply that need no other's result: 4 requests and 3. `narrow`
is `lines` with 41 lines around each place, `files` with whole files.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aegis_tui.adapters.code_map.reader import SourceReader
from aegis_tui.application.call_sites import MOST_LINES

WINDOW, NARROW = 40, 20
"""How many lines before and after a place are read where the extent of a function is not known."""

Call = tuple[str, dict[str, Any]]
Reply = tuple[Call, ...]


@dataclass(frozen=True)
class Task:
    """A function, and a call of it in each of two other files."""

    path: str
    name: str
    line: int
    sites: tuple[tuple[str, int, str], ...]
    """Path, line and caller."""


@dataclass(frozen=True)
class Way:
    """A way to do a task: the replies of the model, each with its calls."""

    name: str
    about: str
    """The function, as `PATH:NAME`."""
    replies: tuple[Reply, ...]

    @property
    def has_map(self) -> bool:
        """Whether the agent has the tool `map`."""
        return self.name.startswith("map")


def ways_of(root: Path, task: Task) -> list[Way]:
    """Return the ways to do a task in a repository."""
    submit: Call = ("report", {"status": "done", "summary": f"chore: mark two calls of {task.name}"})
    edits, reads = _edits(root, task), _reads(task, WINDOW)
    ask: Call = ("map", {"question": "callers", "about": f"{task.path}:{task.name}"})
    search: Call = ("search", {"pattern": _pattern(root, task)})
    replies: dict[str, Sequence[Reply]] = {
        "map": [(ask,), (edits[0],), (edits[1],), (submit,)],
        "map_together": [(ask,), edits, (submit,)],
        "map_read": _one_by_one(ask, _symbol_reads(root, task), edits, submit),
        "lines": _one_by_one(search, reads, edits, submit),
        "lines_together": [(search,), reads, edits, (submit,)],
        "narrow": _one_by_one(search, _reads(task, NARROW), edits, submit),
        "files": _one_by_one(search, _whole_reads(task), edits, submit),
    }
    return [Way(name, f"{task.path}:{task.name}", tuple(listed)) for name, listed in replies.items()]


def _one_by_one(find: Call, reads: Sequence[Call], edits: Sequence[Call], submit: Call) -> list[Reply]:
    *definition, first, second = reads
    return [(call,) for call in (find, *definition, first, edits[0], second, edits[1], submit)]


def _edits(root: Path, task: Task) -> tuple[Call, Call]:
    calls: list[Call] = []
    for path, line, _ in task.sites:
        old = (root / path).read_text("utf-8").splitlines()[line - 1]
        calls.append(("edit", {"path": path, "old": old, "new": f"{old}  # checked"}))
    return calls[0], calls[1]


def _reads(task: Task, window: int) -> Reply:
    places = [(task.path, task.line), *((path, line) for path, line, _ in task.sites)]
    return tuple(
        ("read", {"path": path, "start": max(1, line - window), "end": line + window}) for path, line in places
    )


def _symbol_reads(root: Path, task: Task) -> Reply:
    symbols = SourceReader().derive("python", (root / task.path).read_bytes()).symbols
    is_long = any(item.name == task.name and item.last - item.first >= MOST_LINES for item in symbols)
    places = [(task.path, task.name)] * is_long + [(path, caller) for path, _, caller in task.sites]
    return tuple(("read", {"path": f"{path}:{name}"}) for path, name in places)


def _whole_reads(task: Task) -> Reply:
    return tuple(("read", {"path": path}) for path in (task.path, *(path for path, _, _ in task.sites)))


def _pattern(root: Path, task: Task) -> str:
    """Return the narrowest pattern for the name that is in the line of the definition and of both calls."""
    places = [(task.path, task.line), *((path, line) for path, line, _ in task.sites)]
    lines = [(root / path).read_text("utf-8").splitlines()[line - 1] for path, line in places]
    patterns = (rf"\b{task.name}\(", rf"{task.name}\(", task.name)
    return next((one for one in patterns if all(re.search(one, line) for line in lines)), task.name)
