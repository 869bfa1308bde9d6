"""Connects the watcher of worktrees to its adapters. Imported once the hub serves: watchdog loads slowly (PERF-3)."""

from __future__ import annotations

from pathlib import Path

from aegis_tui.adapters.watch.tree_watcher import COALESCE_S, SCAN_S, TreeWatcher
from aegis_tui.adapters.watch.worktrees import KnownWorktrees
from aegis_tui.hub.watching import REFRESH_S, WatchService


def watch_repository(
    root: Path, *, coalesce_s: float = COALESCE_S, scan_s: float = SCAN_S, refresh_s: float = REFRESH_S
) -> WatchService:
    """Return the service that watches the worktrees of the repository at `root`, not yet started.

    Args:
        root: The worktree that the hub was started in; the person's.
        coalesce_s: How long file events are collected before they are processed, in seconds.
        scan_s: How often each worktree is compared as a whole, in seconds.
        refresh_s: How often to look for worktrees that were added or removed, in seconds.
    """
    watcher = TreeWatcher(coalesce_s=coalesce_s, scan_s=scan_s)
    return WatchService(root, watcher, KnownWorktrees(root).present, refresh_s=refresh_s)
