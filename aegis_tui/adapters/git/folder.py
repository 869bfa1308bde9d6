"""Folders on disk: put aside at once, delete at leisure."""

from __future__ import annotations

import contextlib
import os
import re
import stat
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

from aegis_tui.errors import Refused
from aegis_tui.sdk.untrusted_folder import TRASH as _TRASH
from aegis_tui.sdk.untrusted_folder import UntrustedFolder, delete_tree

MAX_FILE_BYTES = 4 << 30
"""A larger file is not saved by a commit of ours: git would read it for minutes."""

_SCRATCH = re.compile(r"aegis-(?:git|demo)-(\d+)-.*")


@contextlib.contextmanager
def scratch_folder() -> Iterator[Path]:
    """An empty folder that is removed at the end. Its name holds our pid: see `find_scratch_of_the_dead`."""
    with tempfile.TemporaryDirectory(prefix=f"aegis-git-{os.getpid()}-") as name:
        yield Path(name)


def find_scratch_of_the_dead(parent: Path | None = None) -> list[Path]:
    """Scratch folders of ours whose process was killed before it could remove them; blocking, never raises.

    Args:
        parent: Where they are; the system's folder for temporary files by default.
    """
    left = []
    with contextlib.suppress(OSError):
        for path in (parent or Path(tempfile.gettempdir())).iterdir():
            named = _SCRATCH.fullmatch(path.name)
            if named and path.lstat().st_uid == os.getuid() and not _is_alive(int(named[1])):
                left.append(path)
    return left


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def put_aside(path: Path, parent: Path) -> None:
    """Rename a folder, if there is one, to a name in `parent` from which `delete_trash` deletes it."""
    if path.is_symlink() or path.exists():
        path.rename(parent / f"{_TRASH}{uuid.uuid4().hex[:12]}")


def delete_trash(parent: Path) -> None:
    """Delete everything that was put aside in a folder, leftovers of a crash included; blocking, never raises.

    What was put aside may have been an agent's: nothing in it is followed.
    """
    for aside in parent.glob(f"{_TRASH}*"):
        with contextlib.suppress(OSError):
            delete_tree(aside)


def exists(path: Path) -> bool:
    """True if something bears that name, a dangling link included."""
    return path.is_symlink() or path.exists()


def is_folder(path: Path) -> bool:
    """True if that is a folder."""
    return path.is_dir()


def has_content(path: Path) -> bool:
    """True unless nothing or an empty folder bears that name."""
    return any(path.iterdir()) if path.is_dir() else exists(path)


def real_path(text: str) -> Path:
    """The absolute path behind a name, links followed."""
    return Path(text).resolve()


def make_savable(path: Path) -> None:
    """Prepare a worktree that no agent works in any more for git, which waits for pipes and fails on closed files.

    Pipes, sockets, devices and links named .gitmodules are deleted, since no commit can hold them; closed files and
    folders are opened. Blocking.

    Raises:
        Refused: A file is too large for a commit; nothing was deleted.
    """
    odd: list[str] = []
    for name, status in _walk(path):
        kind = stat.S_IFMT(status.st_mode)
        if kind == stat.S_IFREG and status.st_size > MAX_FILE_BYTES:
            raise Refused(
                f"{path / name} has {status.st_size} bytes, too many to be saved",
                "move it away or delete it, and remove the worktree again",
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
    """Names below a folder, relative to it, with what bears them; links are not followed. Closed ones are opened."""
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
