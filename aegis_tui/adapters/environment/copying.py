"""Copies files of the person's checkout into a new worktree, as new files that share nothing with the originals.

A worktree's content comes from an agent's commit, so a folder on the way may be a link to the outside: everything is
opened below a folder's descriptor, and no link is followed, in the source either. A file is cloned where the file
system shares blocks until one copy is written (ioctl_ficlone(2)), else copied. It is never a hard link: an agent that
writes a file in place would write the person's.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from aegis_tui.errors import Refused
from aegis_tui.sdk.given_files import mark_given

FICLONE = 0x40049409
"""The request that clones a file on Linux."""

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_DEEPEST = 200
_MIB = 1024 * 1024


@dataclass
class CopyResult:
    """What was copied, and what was not."""

    files: int = 0
    size_bytes: int = 0
    left_out: dict[str, str] = field(default_factory=dict)
    """Path below the source -> why it was not copied; what the worktree has already is not among them."""


class TreeCopy:
    """Copies from one folder to another.

    Args:
        source: The folder to copy from.
        place: The folder to copy to.
        skip: Paths below both that are left alone, with everything in them.
        limit_bytes: How much may be copied, with what the result counts already.
        result: Where copies are counted.
    """

    def __init__(
        self, source: Path, place: Path, *, skip: Iterable[str] = (), limit_bytes: int, result: CopyResult
    ) -> None:
        self._source, self._place = source, place
        self._skip, self._limit_bytes = frozenset(skip), limit_bytes
        self._result = result

    def copy(self, names: Iterable[str]) -> None:
        """Copy files, links and whole folders, and count them in the result; what exists in the place stays as it is.

        Links are copied as links; those that lead out of the source are left out, and an absolute one that leads into
        it leads into the place instead. Pipes, sockets, devices and what cannot be opened are left out too. What is
        left out is noted in the result with the reason; a path that is missing, or contains `..` or `.git`, is ignored.

        Args:
            names: Paths relative to the source; a slash at the end is ignored.

        Raises:
            Refused: More than the limit would be copied (code `environment.size`); the files so far stay.
            OSError: The source or the place cannot be opened, or a file cannot be read to its end or written.
        """
        for name in names:
            parts = [part for part in name.split("/") if part]
            if parts and not {".", "..", ".git"} & set(parts):
                self._one(parts)

    def _one(self, parts: list[str]) -> None:
        with contextlib.ExitStack() as stack:
            source, place = _opened(self._source, stack), _opened(self._place, stack)
            for depth in range(1, len(parts)):
                if (inner := self._inner(source, place, parts[:depth], stack)) is None:
                    return
                source, place = inner
            self._entry(source, place, parts)

    def _entry(self, source: int, place: int, parts: list[str]) -> None:
        name, relative = parts[-1], "/".join(parts)
        if relative in self._skip or name == ".git" or len(parts) > _DEEPEST:
            return
        try:
            status = os.stat(name, dir_fd=source, follow_symlinks=False)
        except OSError as error:
            self._leave_out(relative, error)
            return
        if stat.S_ISDIR(status.st_mode):
            self._whole_folder(source, place, parts)
        elif stat.S_ISREG(status.st_mode):
            self._file(source, place, name, relative=relative)
        elif stat.S_ISLNK(status.st_mode):
            self._link(source, place, name, relative=relative)
        else:
            self._result.left_out[relative] = "it is not a file"

    def _whole_folder(self, source: int, place: int, parts: list[str]) -> None:
        with contextlib.ExitStack() as stack:
            if (inner := self._inner(source, place, parts, stack)) is None:
                return
            with os.scandir(inner[0]) as entries:
                names = sorted(entry.name for entry in entries)
            for entry in names:
                self._entry(*inner, [*parts, entry])

    def _inner(self, source: int, place: int, parts: list[str], stack: contextlib.ExitStack) -> tuple[int, int] | None:
        """Open a folder of the source and that of the place, which is created if it is missing.

        Returns the two descriptors, which the stack closes. None if one cannot be opened, as when something else has
        that name; this is noted in the result.

        Args:
            source: The folder around it in the source.
            place: The folder around it in the place.
            parts: Its path below both.
            stack: Closes what was opened.

        Raises:
            OSError: It cannot be created.
        """
        name, relative = parts[-1], "/".join(parts)
        try:
            theirs = _entered(source, name, stack)
        except OSError as error:
            self._leave_out(relative, error)
            return None
        with contextlib.suppress(FileExistsError):
            os.mkdir(name, 0o755, dir_fd=place)
        try:
            return theirs, _entered(place, name, stack)
        except OSError as error:
            self._leave_out(relative, error)
            return None

    def _file(self, source: int, place: int, name: str, *, relative: str) -> None:
        try:
            reading = os.open(name, _READ, dir_fd=source)
        except OSError as error:
            self._leave_out(relative, error)
            return
        with os.fdopen(reading, "rb") as original:
            status = os.fstat(reading)
            if not stat.S_ISREG(status.st_mode):
                return
            if self._result.size_bytes + status.st_size > self._limit_bytes:
                raise too_large(self._limit_bytes)
            try:
                writing = os.open(name, _CREATE, 0o600, dir_fd=place)
            except FileExistsError:
                return
            with os.fdopen(writing, "wb") as copy:
                if not _cloned(reading, writing):
                    shutil.copyfileobj(original, copy, _MIB)
                    copy.flush()
                os.fchmod(writing, stat.S_IMODE(status.st_mode) & 0o777 | 0o600)
                os.utime(writing, ns=(status.st_atime_ns, status.st_mtime_ns))
                mark_given(writing)
        self._result.files += 1
        self._result.size_bytes += status.st_size

    def _link(self, source: int, place: int, name: str, *, relative: str) -> None:
        target = os.readlink(name, dir_fd=source)
        inside = os.path.normpath(self._source / Path(relative).parent / target)
        if not Path(inside).is_relative_to(self._source):
            self._result.left_out[relative] = "it is a link that leads out of the checkout"
            return
        if target.startswith("/"):
            target = str(self._place / Path(inside).relative_to(self._source))
        with contextlib.suppress(FileExistsError):
            os.symlink(target, name, dir_fd=place)
            self._result.files += 1

    def _leave_out(self, relative: str, error: OSError) -> None:
        if error.errno == errno.ENOENT:
            return
        is_other = error.errno in (errno.ELOOP, errno.ENOTDIR)
        self._result.left_out[relative] = (
            "something else of this name exists" if is_other else error.strerror or str(error)
        )


def too_large(limit_bytes: int) -> Refused:
    """Return (not raise) the error for files that are larger than the limit on what is copied into a worktree."""
    return Refused(
        "the files that .worktreeinclude names, or that the set-up command made, are larger than "
        f"{limit_bytes // _MIB} MiB together, and each worktree would get a copy",
        "name fewer files in .worktreeinclude, or raise copy_mb of [environment] in your own configuration",
        code="environment.size",
    )


def is_larger(paths: Iterable[Path], limit_bytes: int) -> bool:
    """Return whether files and folders together are larger than a limit; blocking.

    Links are not followed, and what cannot be read counts as nothing.
    """
    total = 0
    waiting = list(paths)
    while waiting:
        place = waiting.pop()
        try:
            if place.is_symlink() or not place.is_dir():
                total += place.lstat().st_size
            else:
                waiting += place.iterdir()
        except OSError:
            continue
        if total > limit_bytes:
            return True
    return False


def _opened(folder: Path, stack: contextlib.ExitStack) -> int:
    descriptor = os.open(folder, _FOLDER)
    stack.callback(os.close, descriptor)
    return descriptor


def _entered(folder: int, name: str, stack: contextlib.ExitStack) -> int:
    descriptor = os.open(name, _FOLDER, dir_fd=folder)
    stack.callback(os.close, descriptor)
    return descriptor


def _cloned(reading: int, writing: int) -> bool:
    """Clone the content of one open file into another, which then shares its blocks on disk; return if that worked.

    False where the system or the file system cannot do it; the file to write is then unchanged.
    """
    try:
        fcntl.ioctl(writing, FICLONE, reading)
    except OSError:
        return False
    return True
