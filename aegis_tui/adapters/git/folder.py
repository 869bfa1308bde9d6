"""Folders on disk: put aside at once, delete at leisure."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

_TRASH = ".aegis-trash-"
_SCRATCH = re.compile(r"aegis-git-(\d+)-.*")


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
    """Delete everything that was put aside in a folder, leftovers of a crash included; blocking, never raises."""
    for aside in parent.glob(f"{_TRASH}*"):
        if aside.is_symlink() or not aside.is_dir():
            with contextlib.suppress(OSError):
                aside.unlink()
            continue
        _make_deletable(aside)
        shutil.rmtree(aside, ignore_errors=True)


def _make_deletable(folder: Path) -> None:
    """Open folders that were made read-only, without following links."""
    with contextlib.suppress(OSError):
        folder.chmod(0o700)
    for top, names, _ in os.walk(folder):
        for name in names:
            child = Path(top) / name
            if not child.is_symlink():
                with contextlib.suppress(OSError):
                    child.chmod(0o700)


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
