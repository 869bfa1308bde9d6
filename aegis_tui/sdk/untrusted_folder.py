"""Access from outside the sandbox to folders that an agent can write. All code that touches such a folder uses this.

Any name in such a folder may be a link, a pipe, a folder, a huge or an unreadable file, and may change between two
accesses. Therefore everything is accessed through the folder's descriptor, never by path: no link is followed, only
regular files are read, up to a limit, no call waits for a pipe, and new files get unpredictable names. The worst that
an agent can do is to lose its own files.

All methods block: call them in a thread, never on the event loop.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from aegis_tui.sdk.folder_entry import FOLDER, let_in, remove_entry, unlink

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_CHUNK = 1 << 20
_TRIES = 8


class UntrustedFolder:
    """A folder, accessed through an open descriptor; call `close`, or use it as a context manager.

    Args:
        path: The folder. The agent must not be able to write its parents. The folder itself must not be a link.

    Raises:
        OSError: It is not a folder, or cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, FOLDER)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the descriptor; call it once, after the last access."""
        os.close(self._descriptor)

    def read(self, path: str, *, limit: int) -> bytes | None:
        """Return the content of a regular file; None if it is larger than `limit` or unreadable, and for anything else.

        Args:
            path: Relative to the folder, separated by `/`. A link in any part of it is not followed, `..` not accepted:
                the result is None.
            limit: In bytes.
        """
        descriptor = self._open_file(path)
        if descriptor is None:
            return None
        with os.fdopen(descriptor, "rb") as file:
            try:
                content = file.read(limit + 1)
            except OSError:
                return None
        return content if len(content) <= limit else None

    def read_tail(self, path: str, *, size: int) -> bytes | None:
        """Return the last `size` bytes of a regular file, or all of a smaller one; it may be of any size.

        None if it cannot be read, is no regular file, or a part of the path is a link or `..`.
        """
        descriptor = self._open_file(path)
        if descriptor is None:
            return None
        with os.fdopen(descriptor, "rb") as file:
            try:
                file.seek(max(0, file.seek(0, os.SEEK_END) - size))
                return file.read(size)
            except OSError:
                return None

    def copy_out(self, path: str, target: Path, *, limit: int) -> bool:
        """Copy a regular file, with its times, to a new file in a trusted folder; return False if it was not copied.

        That is the case for a larger file, and for anything but a regular file.

        Args:
            path: Relative to the folder, separated by `/`; a link in any part of it is not followed.
            target: The new file; must not exist.
            limit: In bytes; a larger file is not copied.

        Raises:
            OSError: The target cannot be written, or the file cannot be read to its end.
        """
        descriptor = self._open_file(path)
        if descriptor is None:
            return False
        with os.fdopen(descriptor, "rb") as source:
            status = os.fstat(descriptor)
            if status.st_size > limit:
                return False
            left = limit
            with os.fdopen(os.open(target, _CREATE, 0o600), "wb") as copy:
                while left > 0 and (chunk := source.read(min(_CHUNK, left))):
                    copy.write(chunk)
                    left -= len(chunk)
            os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))
        return True

    @contextlib.contextmanager
    def open(self, path: str) -> Iterator[BinaryIO | None]:
        """Yield a regular file, open for reading while the context is; None if that fails, and for anything else.

        Its content may change while it is read. For `path` see `read`.
        """
        descriptor = self._open_file(path)
        if descriptor is None:
            yield None
            return
        with os.fdopen(descriptor, "rb") as file:
            yield file

    def status(self, path: str) -> os.stat_result | None:
        """Return the status of a path, of a link itself and not its target; None if there is nothing to be reached.

        That is the case too if a part of the path before the last one is a link.
        """
        with self._parent(path) as place:
            if place is None:
                return None
            try:
                return os.stat(place[1], dir_fd=place[0], follow_symlinks=False)
            except (OSError, ValueError):
                return None

    def read_link(self, path: str) -> bytes | None:
        """Return the target of a link; None for anything else, or if it is unreadable. For `path` see `read`."""
        with self._parent(path) as place:
            if place is None:
                return None
            try:
                return os.fsencode(os.readlink(place[1], dir_fd=place[0]))
            except (OSError, ValueError):
                return None

    def names(self, path: str = ".", *, limit: int = 1_000_000) -> Iterator[str]:
        """Yield the names in a folder, in no certain order and `limit` at most.

        Nothing if it is no folder or cannot be read.
        """
        with contextlib.suppress(OSError), self._inner(path) as descriptor, os.scandir(descriptor) as entries:
            for _, entry in zip(range(limit), entries, strict=False):
                yield entry.name

    def statuses(self, path: str = ".") -> Iterator[tuple[str, os.stat_result]]:
        """Yield the names in a folder with their status, of links themselves; nothing if it is not a folder.

        A name whose status cannot be read, for example because it is gone, is left out.
        """
        with contextlib.suppress(OSError), self._inner(path) as descriptor, os.scandir(descriptor) as entries:
            for entry in entries:
                with contextlib.suppress(OSError):
                    yield entry.name, entry.stat(follow_symlinks=False)

    def let_in(self, path: str, status: os.stat_result) -> None:
        """Add the owner's read permission to a file or folder (for a folder all owner permissions); ignore failures.

        Args:
            path: Relative to the folder; a link in any part of it is not followed.
            status: The status of the path, as just read; nothing happens if it permits this already.
        """
        wanted = 0o700 if stat.S_ISDIR(status.st_mode) else 0o400
        if status.st_mode & wanted != wanted:
            with self._parent(path) as place:
                if place is not None:
                    let_in(*place, mode=stat.S_IMODE(status.st_mode) | wanted)

    def unlink(self, path: str) -> None:
        """Delete a file or link; a folder stays, and a missing path is ignored.

        Raises:
            OSError: It cannot be deleted.
        """
        with self._parent(path) as place:
            if place is not None:
                unlink(*place)

    def claim(self, name: str, content: bytes) -> bool:
        """Create a file, mode 0600; return False if there is anything under that name, even a link. Raises OSError."""
        try:
            descriptor = os.open(name, _CREATE, 0o600, dir_fd=self._descriptor)
        except FileExistsError:
            return False
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        return True

    def write(self, name: str, content: bytes, *, mode: int = 0o600) -> None:
        """Write a regular file in one step, replacing whatever has that name, even a folder.

        Args:
            name: A single name, without `/`.
            content: The file's content.
            mode: The file's permissions.

        Raises:
            OSError: The folder cannot be written, or another program keeps creating something under that name.
        """
        for last in range(1, _TRIES + 1):
            draft = f".{name}.{secrets.token_hex(8)}"
            descriptor = os.open(draft, _CREATE, mode, dir_fd=self._descriptor)
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(content)
                os.replace(draft, name, src_dir_fd=self._descriptor, dst_dir_fd=self._descriptor)
            except OSError as error:
                with contextlib.suppress(OSError):
                    os.unlink(draft, dir_fd=self._descriptor)
                if error.errno not in (errno.EISDIR, errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT) or last == _TRIES:
                    raise
                self.remove(name)
            else:
                return

    def remove(self, name: str) -> None:
        """Delete whatever has that name, a folder with its content; nothing happens if there is nothing.

        Others may delete parts of it at the same time.

        Raises:
            OSError: It cannot be deleted, or another program keeps creating something in it.
        """
        remove_entry(self._descriptor, name)

    def _open_file(self, path: str) -> int | None:
        """Open a regular file and return its descriptor, for the caller to close; None if that fails or it is none."""
        with self._parent(path) as place:
            if place is None:
                return None
            try:
                descriptor = os.open(place[1], _READ, dir_fd=place[0])
            except (OSError, ValueError):
                return None
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            return descriptor
        os.close(descriptor)
        return None

    @contextlib.contextmanager
    def _parent(self, path: str) -> Iterator[tuple[int, str] | None]:
        """Yield a descriptor of a path's parent folder and the path's last part; None if it cannot be opened.

        Also None for a path that does not end in a name (`.`, `..`, or a slash at its end).
        """
        *folders, name = path.split("/")
        if name in ("", ".", "..") or "\0" in path:
            yield None
            return
        with contextlib.ExitStack() as stack:
            try:
                place = (stack.enter_context(self._inner("/".join(folders) or ".")), name)
            except OSError:
                place = None
            yield place

    @contextlib.contextmanager
    def _inner(self, path: str) -> Iterator[int]:
        """Yield the descriptor of a folder below this one while the context is open; links are not followed.

        Raises:
            OSError: A part of the path is no folder, cannot be opened, or is `..` or empty.
        """
        current = os.dup(self._descriptor)
        try:
            for part in path.split("/"):
                if part in ("", ".."):
                    raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), path)
                if part != ".":
                    inner = os.open(part, FOLDER, dir_fd=current)
                    os.close(current)
                    current = inner
            yield current
        finally:
            os.close(current)


def delete_tree(path: Path) -> None:
    """Delete a folder that an agent could write, or whatever else has that name, without following a link.

    No effect if there is nothing of that name.

    Args:
        path: Its parent folder must be one that the agent cannot write.

    Raises:
        OSError: It cannot be deleted, or the parent folder does not exist or cannot be opened.
    """
    with UntrustedFolder(path.parent) as parent:
        parent.remove(path.name)


def read_file(path: Path, *, limit: int) -> bytes | None:
    """Return the content of a regular file, without following a link; None if unreadable, and for anything else.

    Args:
        path: The file; its folder may be one that an agent can write, the folder's parents not.
        limit: In bytes; for a larger file the result is None.
    """
    try:
        with UntrustedFolder(path.parent) as folder:
            return folder.read(path.name, limit=limit)
    except OSError:
        return None
