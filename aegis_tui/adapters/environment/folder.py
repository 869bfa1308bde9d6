"""Writes a tree of links and small files into a new worktree, without following links that the worktree contains."""

from __future__ import annotations

import os
import stat
from pathlib import Path

_MAX_TEXT_BYTES = 1024 * 1024


def read_regular(path: Path) -> str:
    """Return the text of a regular file; empty for anything else, a missing file, or one of more than 1 MiB."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return ""
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or status.st_size > _MAX_TEXT_BYTES:
        os.close(descriptor)
        return ""
    with os.fdopen(descriptor, "rb") as file:
        return file.read(_MAX_TEXT_BYTES).decode("utf-8", "replace")


class Overlay:
    """A new folder below a worktree that is filled with new links, copies and folders.

    Nothing that exists is changed or followed: the worktree's commits come from an agent, and a folder on the way may
    be a link to the outside.

    Args:
        base: A folder that no agent can replace: the worktree, or a folder of this program.
        place: The folder to create, below `base`.

    Raises:
        OSError: `place` exists already, or a folder on the way is missing or a link.
    """

    def __init__(self, base: Path, place: Path) -> None:
        self.place = place
        handle = os.open(base, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            parts = place.relative_to(base).parts
            for part in parts[:-1]:
                deeper = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=handle)
                os.close(handle)
                handle = deeper
            os.mkdir(parts[-1], 0o755, dir_fd=handle)
        finally:
            os.close(handle)

    def folder(self, name: str) -> Path:
        """Create a folder in the overlay, with the folders above it, and return its path; it may exist already.

        Args:
            name: Its path in the overlay, which may contain slashes.

        Raises:
            OSError: It cannot be created.
        """
        path = self.place / name
        path.mkdir(parents=True, exist_ok=True)
        return path

    def link(self, name: str, target: Path | str) -> None:
        """Create a link in the overlay, unless something has that name already.

        Args:
            name: Its path in the overlay; the folder that it is in must exist.
            target: What it points to, whether or not that exists.

        Raises:
            OSError: It cannot be created.
        """
        path = self.place / name
        if not path.is_symlink() and not path.exists():
            path.symlink_to(target)

    def file(self, name: str, text: str, *, executable: bool = False) -> None:
        """Create a file in the overlay.

        Args:
            name: Its path in the overlay; the folder that it is in must exist.
            text: Its content.
            executable: Whether it gets mode 0755 instead of 0644.

        Raises:
            FileExistsError: The name is taken.
            OSError: It cannot be written.
        """
        path = self.place / name
        with path.open("x", encoding="utf-8", errors="surrogateescape", newline="") as file:
            file.write(text)
        path.chmod(0o755 if executable else 0o644)
