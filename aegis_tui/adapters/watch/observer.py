"""The watchdog observer of this package: it never watches folders whose changes are of no interest (PERF-18).

git writes hundreds of files in `.git` while a run prepares worktrees and merges. Each would wake four threads before it
is dropped, and each folder below `node_modules` would use up one of the watches that the kernel grants to a user.
"""

from __future__ import annotations

import errno
import os
import sys
import threading
from typing import TYPE_CHECKING

from typing_extensions import override
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver

from aegis_tui.adapters.watch.listing import is_ignored_name

if TYPE_CHECKING:
    from watchdog.observers.inotify_c import CallbackId, Mask, WatchCallback, WatchDescriptor


def start_observer(roots: set[str]) -> BaseObserver:
    """Start an observer and return it; the caller schedules the worktrees on it, and stops it.

    On Linux, folders such as `.git` and `node_modules` (`IGNORED_NAMES`) below a worktree are not watched.

    Args:
        roots: The absolute paths of the worktrees; may be changed later, before a worktree is scheduled.

    Raises:
        OSError: The system has no more instances of inotify.
    """
    observer = _selective(roots) if sys.platform == "linux" else Observer()
    observer.start()
    return observer


def _selective(roots: set[str]) -> BaseObserver:
    """Return an observer like watchdog's own for Linux that does not watch folders with an ignored name; not started.

    Only its thread that reads from inotify runs already; it ends with the observer.

    Args:
        roots: The absolute paths of the worktrees, below which names count.

    Raises:
        OSError: The system has no more instances of inotify.
    """
    from watchdog.observers.inotify import InotifyEmitter
    from watchdog.observers.inotify_c import InotifyFD

    class Selective(InotifyFD):
        @override
        def add_callback(self, path: bytes, mask: Mask, callback: WatchCallback, id_: CallbackId) -> WatchDescriptor:
            """Watch a folder; raise OSError for an ignored one, as if it had vanished, which watchdog accepts."""
            if _is_ignored(os.fsdecode(path), roots):
                raise OSError(errno.ENOENT, "the folder is not watched")
            return super().add_callback(path, mask, callback, id_)

    class Stopping(BaseObserver):
        @override
        def on_thread_stop(self) -> None:
            super().on_thread_stop()
            kernel.stop()
            if kernel is not threading.current_thread():
                kernel.join()

    kernel = Selective()
    kernel.start()
    return Stopping(InotifyEmitter, inotify_fd=kernel)


def _is_ignored(path: str, roots: set[str]) -> bool:
    below = [path[len(root) + 1 :] for root in roots if path.startswith(f"{root}/")]
    return bool(below) and is_ignored_name(min(below, key=len))
