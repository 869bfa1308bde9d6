"""Opens the code map of a worktree and puts one question to it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from aegis_tui.adapters.code_map.reader import SourceReader
from aegis_tui.adapters.code_map.store import MapDamaged, SqliteMapStore
from aegis_tui.application.code_map import CodeMap
from aegis_tui.domain.wire.code_map import MapAnswer, PartitionOutput
from aegis_tui.ports.code_map import Files
from aegis_tui.sdk.discovery import WorkspacePaths

A = TypeVar("A", bound=MapAnswer)


def ask_code_map(files: Files, paths: WorkspacePaths, question: Callable[[CodeMap], A], *, anew: bool = False) -> A:
    """Return the answer of the map of a worktree, which is refreshed before. Blocking.

    The map is in the file that all worktrees of the workspace share. If that is damaged, it is begun anew, and the
    question is asked again; `rebuilt` in the answer says so.

    Args:
        files: Those of the worktree.
        paths: Of its workspace.
        question: Asks a refreshed map.
        anew: Forget what is stored, also shadow tags, and derive everything again.

    Raises:
        GitError: git fails.
        GitUnavailable: git is missing.
        StoreError: The map cannot be read or written.
        UsageError: The question is about something that the map does not have.
    """
    store = SqliteMapStore(paths.state_dir / "map.db")
    try:
        if anew:
            store.begin_anew("you asked for it", keeps_tags=False)
        code_map = CodeMap(files, store, SourceReader())
        try:
            return _answer(code_map, store, question)
        except MapDamaged as error:
            store.begin_anew(error.message)
            return _answer(code_map, store, question)
    finally:
        store.close()


def ask_about_checkout(root: Path, paths: WorkspacePaths, question: Callable[[CodeMap], A], *, anew: bool = False) -> A:
    """Return the answer of the map of the checkout at `root`, in which this process works; blocks.

    The map is refreshed before, and begun anew if it is damaged.

    Args:
        root: The checkout; git runs in it, so it must not be one that an agent can write.
        paths: Of its workspace.
        question: Asks a refreshed map.
        anew: Forget what is stored, also shadow tags, and derive everything again.

    Raises:
        GitError: git fails.
        GitUnavailable: git is missing.
        StoreError: The map cannot be read or written.
        UsageError: The question is about something that the map does not have.
    """
    from aegis_tui.adapters.git.content import WorktreeFiles

    return ask_code_map(WorktreeFiles(root), paths, question, anew=anew)


def suggest_for_checkout(root: Path, code_map: CodeMap, parts: int) -> PartitionOutput:
    """Return suggested partitions of the checkout at `root`; blocking.

    Args:
        root: The checkout; git runs in it, so it must not be one that an agent can write.
        code_map: Its map, refreshed.
        parts: How many parts are wanted, at least 1.

    Raises:
        GitError: git fails.
        GitUnavailable: git is missing.
        StoreError: The map cannot be read.
    """
    from aegis_tui.adapters.git.history import ignores_case, read_history
    from aegis_tui.application.partition import suggest_partition

    return suggest_partition(code_map, read_history(root), parts, ignore_case=ignores_case(root))


def _answer(code_map: CodeMap, store: SqliteMapStore, question: Callable[[CodeMap], A]) -> A:
    code_map.refresh()
    answer = question(code_map)
    if store.rebuilt:
        answer["rebuilt"] = store.rebuilt
    return answer
