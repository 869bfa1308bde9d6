"""Folders on disk: renamed at once, deleted later."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import stat
import tempfile
import threading
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path

from aegis_tui.errors import Refused
from aegis_tui.sdk.folder_entry import TRASH as _TRASH
from aegis_tui.sdk.untrusted_folder import UntrustedFolder, delete_tree

MAX_FILE_BYTES = 4 << 30
"""Larger files are not saved by our commits: git would read them for minutes."""

_deleting: set[Path] = set()
"""What a thread of this process is deleting: two on one tree would hinder each other."""

_deleting_lock = threading.Lock()

_SCRATCH = re.compile(r"aegis-(?:git|demo|landlock|probe)-(\d+)-.*")


@contextlib.contextmanager
def scratch_folder() -> Iterator[Path]:
    """Yield an empty folder that is removed at the end; with our pid in its name, for `find_scratch_of_the_dead`.

    Raises:
        OSError: It cannot be created.
    """
    with tempfile.TemporaryDirectory(prefix=f"aegis-git-{os.getpid()}-") as name:
        yield Path(name)


def find_scratch_of_the_dead(parent: Path | None = None) -> list[Path]:
    """Return this user's temporary folders of this program whose process ended before it removed them; blocking.

    Empty if there are none. Never raises.

    Args:
        parent: The folder to search; by default the system's folder for temporary files.
    """
    left = []
    with contextlib.suppress(OSError):
        for path in (parent or Path(tempfile.gettempdir())).iterdir():
            named = _SCRATCH.fullmatch(path.name)
            if named and path.lstat().st_uid == os.getuid() and not is_alive(int(named[1])):
                left.append(path)
    return left


def is_alive(pid: int) -> bool:
    """Return whether there is a process with this id.

    One of another user counts, and one that has ended but has not been reaped.
    """
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def put_aside(path: Path, parent: Path) -> None:
    """Rename a folder, file or link, if it exists, to a name in `parent` that `delete_trash` deletes later.

    Raises:
        OSError: It cannot be renamed, for example because `parent` is on another file system.
    """
    if path.is_symlink() or path.exists():
        path.rename(parent / f"{_TRASH}{uuid.uuid4().hex[:12]}")


def delete_trash(parent: Path) -> None:
    """Delete everything that `put_aside` moved to a folder, including leftovers of a crash; blocking, never raises.

    Its content may be an agent's, so no link in it is followed. What cannot be deleted stays, and so does what another
    thread of this process is deleting.
    """
    for aside in parent.glob(f"{_TRASH}*"):
        with _deleting_lock:
            if aside in _deleting:
                continue
            _deleting.add(aside)
        try:
            with contextlib.suppress(OSError):
                delete_tree(aside)
        finally:
            _deleting.discard(aside)


def begin_to_delete_trash(parent: Path) -> None:
    """Begin to delete, in a thread, what `put_aside` moved to a folder, and return at once; see `delete_trash`.

    Call it in a running event loop, which waits for the thread when it is closed.
    """
    asyncio.get_running_loop().run_in_executor(None, delete_trash, parent)


def exists(path: Path) -> bool:
    """Return whether there is something at the path, even a link that leads nowhere; blocking."""
    return path.is_symlink() or path.exists()


def make_folders(parent: Path, names: Iterable[str]) -> None:
    """Create folders that do not exist, inside a folder; blocking. Raises `OSError` if one cannot be created."""
    for name in names:
        with contextlib.suppress(FileExistsError):
            os.mkdir(f"{parent}/{name}")  # noqa: PTH102  # a large repository has thousands of them


def is_folder(path: Path) -> bool:
    """Return whether the path is a folder, or a link to one; False if it does not exist."""
    return path.is_dir()


def has_content(path: Path) -> bool:
    """Return whether there is anything but an empty folder at the path.

    Raises:
        OSError: It is a folder that cannot be read.
    """
    return any(path.iterdir()) if path.is_dir() else exists(path)


def real_path(text: str) -> Path:
    """Return the absolute path with all links resolved."""
    return Path(text).resolve()


def make_savable(path: Path) -> None:
    """Prepare a worktree in which no agent works any longer so that git can save it.

    Git would wait for pipes and fail on unreadable files. Pipes, sockets, devices and links named .gitmodules are
    deleted, since no commit can hold them; unreadable files and folders are made readable. Blocking.

    Raises:
        Refused: A file has more than 4 GiB, too many for a commit; nothing was deleted.
        OSError: `path` is not a folder.
    """
    odd: list[str] = []
    for name, status in _walk(path):
        kind = stat.S_IFMT(status.st_mode)
        if kind == stat.S_IFREG and status.st_size > MAX_FILE_BYTES:
            raise Refused(
                f"{path / name} has {status.st_size} bytes, too many to be saved",
                "move it away or delete it, then try again to remove the worktree",
                code="rescue.size",
            )
        is_refused_link = kind == stat.S_IFLNK and name.rpartition("/")[2].casefold() == ".gitmodules"
        if is_refused_link or kind not in (stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK):
            odd.append(name)
    with UntrustedFolder(path) as folder:
        for name in odd:
            with contextlib.suppress(OSError):
                folder.unlink(name)


def _walk(top: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Yield the relative paths below a folder with their status. Follows no links; makes files and folders readable.

    Raises:
        OSError: `top` is not a folder.
    """
    waiting = [""]
    with UntrustedFolder(top) as folder:
        while waiting:
            place = waiting.pop()
            for entry, status in folder.statuses(place or "."):
                name = f"{place}/{entry}" if place else entry
                if stat.S_ISDIR(status.st_mode):
                    waiting.append(name)
                if not stat.S_ISLNK(status.st_mode):
                    folder.let_in(name, status)
                yield name, status
