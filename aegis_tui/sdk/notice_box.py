"""Short lines for a program of another vendor, each taken once by whatever brings it to the program first (AGENT-6).

That is a hook of the program between two of its tool calls, `read_messages` of the MCP server that it has started, or
its next prompt. They are separate processes, so each line is a file, and whoever moves the file away has the line.
The MCP server leaves two words for the wrapper there: that the program has its tools, and that its work is done.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

NOTICES = "AEGIS_NOTICES"
"""The variable that names the folder of the box."""

_HAS_TOOLS, _DONE = "has-tools", "done"
_NAME = re.compile(r"(\d{8})\.(\d+|-)\Z")


class Notice(NamedTuple):
    """One line."""

    line: str
    seq: int | None = None
    """The number of the message that it is; None if it is about another event."""


class NoticeBox:
    """The box of one instance. Only its wrapper puts lines into it.

    Args:
        folder: Where the lines are; it need not exist.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._next = 1 + max((int(name[:8]) for name in self._names()), default=0)

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> NoticeBox | None:
        """Return the box whose folder the variable AEGIS_NOTICES names; None if it is not set."""
        folder = environ.get(NOTICES)
        return cls(Path(folder)) if folder else None

    def put(self, notice: Notice) -> None:
        """Add a line behind all others.

        Raises:
            OSError: It cannot be written.
        """
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        name = f"{self._next:08d}.{'-' if notice.seq is None else notice.seq}"
        self._next += 1
        draft = self._folder / f".{name}"
        draft.write_text(json.dumps(notice.line), "ascii")
        draft.rename(self._folder / name)

    def take(self, only: Collection[int | None] | None = None) -> list[Notice]:
        """Remove and return the lines that nobody has taken, oldest first; one that cannot be read is left out.

        Args:
            only: The numbers of messages; None among them stands for all lines that are no message. Without it, all
                lines are taken.
        """
        names = [name for name in self._names() if only is None or _seq_of(name) in only]
        taken = ((name, self._claim(name)) for name in names)
        return [Notice(line, _seq_of(name)) for name, line in taken if line is not None]

    def mark_tools_listed(self) -> None:
        """Note that the program has got the list of its MCP tools. Raises nothing."""
        with suppress(OSError):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            (self._folder / _HAS_TOOLS).touch()

    def unmark_tools_listed(self) -> None:
        """Remove the note that the program has got the list of its MCP tools, before it starts. Raises nothing."""
        with suppress(OSError):
            (self._folder / _HAS_TOOLS).unlink()

    @property
    def has_listed_tools(self) -> bool:
        """Whether the program has got the list of its MCP tools."""
        return (self._folder / _HAS_TOOLS).exists()

    def ask_submission(self, summary: str) -> None:
        """Note that the program says that its work is done and is to be submitted at the end of its turn.

        Args:
            summary: What it says about it; `take_submission` returns it. It replaces an earlier one.

        Raises:
            OSError: It cannot be written.
        """
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = self._folder / f".{os.getpid()}.{_DONE}"
        draft.write_text(json.dumps(summary), "ascii")
        draft.replace(self._folder / _DONE)

    def take_submission(self) -> str | None:
        """Remove and return what the program has said about its finished work.

        None if nothing new, or it cannot be read.
        """
        return self._claim(_DONE)

    def _names(self) -> list[str]:
        try:
            return sorted(path.name for path in self._folder.iterdir() if _NAME.match(path.name))
        except OSError:
            return []

    def _claim(self, name: str) -> str | None:
        """Return a line, which nobody else gets from now on; None if it was taken before or cannot be read."""
        mine = self._folder / f".{os.getpid()}.{name}"
        try:
            (self._folder / name).rename(mine)
        except OSError:
            return None
        try:
            line = json.loads(mine.read_text("ascii"))
        except (OSError, ValueError, RecursionError):
            line = None
        with suppress(OSError):
            mine.unlink()
        return line if isinstance(line, str) else None


def _seq_of(name: str) -> int | None:
    seq = name[9:]
    return None if seq == "-" else int(seq)


def numbers_of(notices: Iterable[Notice]) -> list[int]:
    """Return the numbers of the messages among the lines, in their order; lines about other events have none."""
    return [notice.seq for notice in notices if notice.seq is not None]
