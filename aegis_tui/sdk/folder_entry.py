"""Entries of a folder that an agent can write, by the folder's descriptor and their name; no link is followed."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from pathlib import Path

TRASH = ".aegis-trash-"
"""Prefix of the names of folders that are about to be deleted."""

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
"""Flags of `os.open` for a folder that is not behind a link."""

_TRIES = 8


def remove_entry(folder: int, name: str) -> None:
    """Delete whatever has that name, a folder with its content; nothing happens if there is nothing.

    A tree of any depth is deleted with two descriptors and without recursion: the folders in it are moved up first.
    Others may delete parts of it at the same time.

    Raises:
        OSError: It cannot be deleted, or another program keeps creating something in it.
    """
    waiting = [name]
    refilled = 0
    while waiting:
        current = waiting.pop()
        if unlink(folder, current):
            continue
        waiting += _empty(folder, current)
        try:
            os.rmdir(current, dir_fd=folder)
        except FileNotFoundError:
            continue
        except OSError as error:
            refilled += 1
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST) or refilled == _TRIES:
                raise
            waiting.append(current)


def _empty(folder: int, name: str) -> list[str]:
    """Delete the files of a folder and move its folders up, under random names; return these names.

    Args:
        folder: The descriptor of the folder that holds it.
        name: Its name there; if it is gone, the result is empty.

    Raises:
        OSError: Something cannot be deleted or moved, or `name` is no folder.
    """
    moved: list[str] = []
    try:
        inner = _open_folder_anyway(folder, name)
    except FileNotFoundError:
        return moved
    try:
        with os.scandir(inner) as entries:
            for entry in entries:
                if _is_removed(inner, entry):
                    continue
                let_in(inner, entry.name)
                aside = f"{TRASH}{secrets.token_hex(8)}"
                with contextlib.suppress(FileNotFoundError):
                    os.rename(entry.name, aside, src_dir_fd=inner, dst_dir_fd=folder)
                    moved.append(aside)
    finally:
        os.close(inner)
    return moved


def _is_removed(folder: int, entry: os.DirEntry[str]) -> bool:
    """Delete a file, a link or an empty folder; return False for a folder with content, or of which that is not known.

    Raises:
        OSError: It cannot be deleted.
    """
    if entry.is_dir(follow_symlinks=False):
        with contextlib.suppress(OSError):
            os.rmdir(entry.name, dir_fd=folder)
            return True
    return unlink(folder, entry.name)


def unlink(folder: int, name: str) -> bool:
    """Delete a file or link and return True, also when it is gone already; return False for a folder.

    Args:
        folder: The descriptor of the folder that holds it.
        name: Its name there.

    Raises:
        OSError: It cannot be deleted.
    """
    try:
        os.unlink(name, dir_fd=folder)
    except FileNotFoundError:
        return True
    except OSError as error:
        if error.errno not in (errno.EISDIR, errno.EPERM):
            raise
        try:
            if _is_folder(folder, name):
                return False
        except FileNotFoundError:
            return True
        raise
    return True


def _is_folder(folder: int, name: str) -> bool:
    """Return whether there is a folder of that name; raises FileNotFoundError if there is nothing."""
    return stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)


def let_in(folder: int, name: str, *, mode: int = 0o700) -> None:
    """Change the mode of a file or folder in a folder, given by its descriptor; follow no link, ignore errors.

    The default gives all permissions to the owner and none to others.
    """
    with contextlib.suppress(OSError):
        if not hasattr(os, "O_PATH"):
            os.chmod(name, mode, dir_fd=folder, follow_symlinks=False)
            return
        descriptor = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
        try:
            if not stat.S_ISLNK(os.fstat(descriptor).st_mode):
                Path(f"/proc/self/fd/{descriptor}").chmod(mode)
        finally:
            os.close(descriptor)


def _open_folder_anyway(folder: int, name: str) -> int:
    """Give the owner all permissions of a folder; return its descriptor, for the caller to close. Raises OSError."""
    let_in(folder, name)
    return os.open(name, FOLDER, dir_fd=folder)
