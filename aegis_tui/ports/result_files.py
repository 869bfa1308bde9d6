"""Files of results that a test tool left: read as hostile input, since the code under test may have made them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from aegis_tui.domain.qa.outcome import ResultFile
from aegis_tui.domain.qa.readers.base import Wanted


class ResultFiles(Protocol):
    """Finds and reads them once the command has ended."""

    def read_text(self, root: Path, name: str) -> str:
        """A small regular file below `root` as text; empty when there is none. No part of its path is followed."""
        ...

    async def collect(self, wanted: Sequence[Wanted], *, root: Path, since_ns: int) -> tuple[ResultFile, ...]:
        """The files that match, in the order of their paths. Never raises: what cannot be read is not there.

        Args:
            wanted: Absolute paths, or globs below `root`.
            root: The worktree.
            since_ns: Files that are older (`st_mtime_ns`) were not written by this command, and are left out.
        """
        ...
