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
        """Return the text of a small regular file below `root`. Never raises.

        Empty when there is no such file, when it is too large, or when a part of its path is a symbolic link.

        Args:
            root: The worktree.
            name: The path of the file, relative to `root`.
        """
        ...

    async def collect(self, wanted: Sequence[Wanted], *, root: Path, since_ns: int) -> tuple[ResultFile, ...]:
        """Return the files that match: those with an absolute path, then those of globs in the order of their paths.

        Never raises: files that are missing, unreadable or too large are left out.

        Args:
            wanted: Absolute paths, or globs below `root`.
            root: The worktree.
            since_ns: Older files (`st_mtime_ns`) are left out, because this command did not write them.
        """
        ...
