"""Result files of test tools. They are read as hostile input, because the code under test may have written them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from aegis_tui.domain.qa.outcome import ResultFile
from aegis_tui.domain.qa.readers.base import Wanted


class ResultFiles(Protocol):
    """Finds and reads result files after the QA command has ended."""

    def read_text(self, root: Path, name: str) -> str:
        """Return the text of a regular file below `root`, with invalid UTF-8 replaced. Never raises.

        Empty when there is no such file, when it has more than 1 MiB, or when a part of its path is a symbolic link.

        Args:
            root: The worktree.
            name: The path of the file, relative to `root`.
        """
        ...

    async def collect(self, wanted: Sequence[Wanted], *, root: Path, since_ns: int) -> tuple[ResultFile, ...]:
        """Return the result files that match `wanted`: those with an absolute path, then those of globs by path.

        Files that are missing or unreadable, files after the first 2,000 that globs match, and those that would make
        more than 16 MiB in all are left out. Globs match only names that end in `.xml`, and folders of dependencies are
        not entered.

        Args:
            wanted: Absolute paths, or globs below `root`, each with the tool whose results it names.
            root: The worktree.
            since_ns: Files whose `st_mtime_ns` is lower are left out, because this command did not write them.

        Raises:
            Refused: A text that is no absolute path is no valid glob either (code `glob`).
        """
        ...
