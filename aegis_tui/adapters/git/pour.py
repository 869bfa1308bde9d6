"""Moves a checkout into a worktree in which an agent may be at work already. Blocking."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_TAKEN = (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR)


def pour(source: Path, target: Path) -> None:
    """Move everything from one folder to another that is not there yet; what is there stays as it is.

    Folders are moved as a whole, so the files of one appear at once. A file of a folder that both have stays in the
    source too: the target gets a hard link to it. The target may be changed by an agent at any time: it is accessed
    through descriptors, and no link in it is followed.

    Args:
        source: A folder that only this program writes; it is on the same file system.
        target: The worktree.

    Raises:
        OSError: Something cannot be moved, for example because the agent closed a folder; the rest is not moved.
    """
    waiting = [""]
    with _opened(source) as sources, _opened(target) as targets:
        while waiting:
            place = waiting.pop()
            waiting += [f"{place}{name}/" for name in _pour_folder(sources, targets, place)]


def _pour_folder(sources: int, targets: int, place: str) -> list[str]:
    """Move the folders of one folder and link its files; return the names of the folders in it that both sides have.

    Nothing is moved, and the result is empty, if one of the two folders cannot be opened. A file that the target has
    stays as it is.

    Args:
        sources: A descriptor of the top folder to move from.
        targets: A descriptor of the top folder to move to.
        place: The folder below both, ending in a slash; empty for the top.

    Raises:
        OSError: An entry cannot be moved.
    """
    both: list[str] = []
    with _inner(sources, place) as source, _inner(targets, place) as target:
        if source is None or target is None:
            return []
        with os.scandir(source) as listed:
            entries = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in listed]
        for name, is_folder in entries:
            if is_folder:
                both += [] if _is_moved(name, source, target) else [name]
                continue
            with contextlib.suppress(FileExistsError):
                os.link(name, name, src_dir_fd=source, dst_dir_fd=target, follow_symlinks=False)
    return both


def _is_moved(name: str, source: int, target: int) -> bool:
    try:
        os.rename(name, name, src_dir_fd=source, dst_dir_fd=target)
    except OSError as error:
        if error.errno not in _TAKEN:
            raise
        return False
    return True


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int]:
    descriptor = os.open(path, _FOLDER)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _inner(top: int, place: str) -> Iterator[int | None]:
    """Yield a descriptor of a folder below an open one, closed at the end.

    None if a part of its path cannot be opened, or is a link or a file.

    Args:
        top: The descriptor of the open folder.
        place: The path below it, ending in a slash; empty for the folder itself.
    """
    descriptor = os.dup(top)
    try:
        for name in place.split("/")[:-1]:
            inner = os.open(name, _FOLDER, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = inner
    except OSError:
        os.close(descriptor)
        yield None
        return
    try:
        yield descriptor
    finally:
        os.close(descriptor)
