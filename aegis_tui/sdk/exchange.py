"""Changes a file that others write too, without losing what they write at the same moment.

The new content is exchanged with the file in one step, and what comes back is compared with what the change was based
on.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import secrets
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from aegis_tui.errors import Conflict

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_RENAME_SWAP = 2
_UNSUPPORTED = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP)
_MOST_TRIES = 50
_PAUSE_S = 0.02
_MOMENT_S = 0.002


@contextlib.contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder, for which all processes that call this wait; blocking. Needs no file of its own.

    Raises:
        OSError: The folder cannot be opened.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def change_file(path: Path, change: Callable[[bytes], bytes]) -> bytes:
    """Replace the content of a file by what `change` makes of it, in one step; return the new content. Blocking.

    A writer that does not wait for the lock of the folder, such as an editor, loses nothing: if the file changes while
    its new content is made, or another program has it open, the change is made again from the newest content. Where
    the system has no leases (Linux has them, on local file systems, for files of the user's own) or cannot exchange
    two files, a write within the same microseconds can be lost.

    Args:
        path: A regular file; a link to it is kept.
        change: Called with the present content, again for every attempt; may raise.

    Raises:
        Conflict: The file was open or changed at every attempt, for about a second (code `file.busy`).
        OSError: The file cannot be read or written; no temporary file remains.
    """
    path = path.resolve()
    with folder_lock(path.parent):
        for _ in range(_MOST_TRIES):
            before = path.read_bytes()
            after = change(before)
            if after == before:
                return after
            draft = _draft(path, after)
            try:
                if _replaced(path, draft, before, after):
                    return after
            finally:
                draft.unlink(missing_ok=True)
            time.sleep(_PAUSE_S)
    raise Conflict(f"another program keeps {path} open", "close it there, then try again", code="file.busy")


def create_file(path: Path, content: bytes) -> bool:
    """Create a file with its whole content in one step; False, with nothing changed, if it exists. Blocking.

    Raises:
        OSError: It cannot be written; no temporary file remains.
    """
    draft = _draft(path, content)
    try:
        os.link(draft, path)
    except FileExistsError:
        return False
    finally:
        draft.unlink(missing_ok=True)
    return True


def replace_file(path: Path, content: bytes) -> None:
    """Write a file with its whole content in one step, in place of one that exists. Blocking.

    Raises:
        OSError: It cannot be written; the file is as before then, and no temporary file remains.
    """
    draft = _draft(path, content)
    try:
        draft.replace(path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise


def _draft(path: Path, content: bytes) -> Path:
    """Write the content beside a file, with its mode if it exists, and return the new path."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            with contextlib.suppress(FileNotFoundError):
                os.fchmod(descriptor, path.stat().st_mode & 0o7777)
            file.flush()
            os.fsync(descriptor)
    except OSError:
        draft.unlink(missing_ok=True)
        raise
    return draft


def _replaced(path: Path, draft: Path, before: bytes, after: bytes) -> bool:
    """Return True if the draft took the place of a file that still had its content; else the file is as before."""
    with path.open("rb") as file, _lease(file) as lease:
        if lease is None or file.read() != before or not _is_same(path, file):
            return False
        if not _exchange(draft, path):
            draft.replace(path)
            return True
        if _is_same(draft, file) and not lease.is_wanted():
            return True
        # Another program waits to open the file by what was its name, or had just put its own file there: it must have
        # the name again.
        _exchange(draft, path)
    if draft.read_bytes() != after:  # and a second one has written into the new file in between: keep it beside
        draft.rename(path.with_name(f"{path.name}.{secrets.token_hex(4)}.saved"))
    return False


def _is_same(path: Path, file: BinaryIO) -> bool:
    return os.path.samestat(path.stat(), os.fstat(file.fileno()))


class _Lease:
    """While it is held, nobody else has the file open, and who wants to open it waits. Source: fcntl(2), Leases.

    Where the system has no leases for the file, it only says so.

    Args:
        file: An open file that has a lease; None if it could have none.
    """

    def __init__(self, file: BinaryIO | None) -> None:
        self._file = file

    def is_wanted(self) -> bool:
        """Return whether another program waits to open the file; False if that is not known. Blocks for 2 ms."""
        if self._file is None:
            return False
        time.sleep(_MOMENT_S)  # for those that have looked up the name, but do not wait yet
        return fcntl.fcntl(self._file, fcntl.F_GETLEASE) != fcntl.F_WRLCK


@contextlib.contextmanager
def _lease(file: BinaryIO) -> Iterator[_Lease | None]:
    """Take the lease of a file until the end of the block; None if another program has the file open."""
    if sys.platform != "linux":
        yield _Lease(None)
        return
    try:
        # Who wants the file is announced by a signal; this one is ignored by default.
        fcntl.fcntl(file, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
    except OSError as error:
        yield None if error.errno == errno.EAGAIN else _Lease(None)
        return
    try:
        yield _Lease(file)
    finally:
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_UNLCK)


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two files in one step; False, with nothing changed, where this cannot be done.

    Source: renameat2(2), renamex_np(2).
    """
    library = ctypes.CDLL(None, use_errno=True)
    paths = os.fsencode(one), os.fsencode(other)
    if hasattr(library, "renameat2"):
        code = library.renameat2(_AT_FDCWD, paths[0], _AT_FDCWD, paths[1], _RENAME_EXCHANGE)
    elif hasattr(library, "renamex_np"):
        code = library.renamex_np(*paths, _RENAME_SWAP)
    else:
        return False
    if code == 0:
        return True
    if (number := ctypes.get_errno()) in _UNSUPPORTED:
        return False
    raise OSError(number, os.strerror(number), str(other))
