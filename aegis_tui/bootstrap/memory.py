"""Opens the memory of failures of a workspace."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from aegis_tui.adapters.memory.sqlite import SqliteFailureMemory
from aegis_tui.ports.failure_memory import FailureMemory
from aegis_tui.sdk.discovery import WorkspacePaths


def make_memory(paths: WorkspacePaths) -> FailureMemory:
    """Open the memory of a workspace and return it; the caller closes it. Blocking.

    Raises:
        StoreError: It cannot be opened.
    """
    return SqliteFailureMemory(paths.state_dir / "memory.db")


@contextmanager
def open_memory(paths: WorkspacePaths) -> Iterator[FailureMemory]:
    """Open the memory of a workspace while the context is open.

    Raises:
        StoreError: It cannot be opened.
    """
    memory = make_memory(paths)
    try:
        yield memory
    finally:
        memory.close()
