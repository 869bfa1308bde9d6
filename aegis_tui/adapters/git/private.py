"""A sandboxed instance's own copies of git's folders, shown in the sandbox at the places of the real ones.

They are its worktree's git folder (HEAD, index, logs) and a store for the objects that it creates. So nobody else's git
reads what it writes there: not the person's, and the hub only through `UntrustedFolder`. The common objects are a
read-only alternate of its own store.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from aegis_tui.adapters.git.admin import PROTECTED_FILES, RECORD_NAME, note_private, read_record
from aegis_tui.adapters.git.index_file import is_bounded_index
from aegis_tui.ports.git_mounts import GitMounts
from aegis_tui.ports.repository import Worktree
from aegis_tui.sdk.untrusted_folder import UntrustedFolder, delete_tree, read_file

_ADMIN, _OBJECTS, _COMMON, _MARK = "admin", "objects", "common-objects", "made-for"
_MAX_INDEX_BYTES = 256 << 20
_MAX_HEAD_BYTES = 4096
_REF = re.compile(r"refs/heads/[^\x00-\x20\x7f~^:?*\[\\]+\Z")
_HEX = frozenset("0123456789abcdef")


def lay_out(private: Path, common_dir: Path, worktree: Worktree) -> GitMounts:
    """Create an instance's own copies of git's folders and return how to mount them; blocking.

    Copies that exist are kept, unless the worktree was created again since. The worktree's record, if it has one, gets
    the path of `private`.

    Args:
        private: A folder for this instance only, which no sandbox shows; the copies are created in it.
        common_dir: The repository's common git folder.
        worktree: A new worktree, in which no agent has worked yet.

    Raises:
        OSError: A file or folder cannot be read or written.
    """
    admin, objects = worktree.admin_dir, (common_dir / "objects").resolve()
    mark = _mark(admin)
    if read_file(private / _MARK, limit=_MAX_HEAD_BYTES) != mark:
        _make_copies(private, objects, admin, mark)
    note_private(admin, private)
    copied, store = private / _ADMIN, private / _OBJECTS
    closed = [admin / name for name in PROTECTED_FILES if (copied / name).is_file()]
    parts = [objects / "info", objects / "pack"]
    shown_as = [(copied, admin), (store, objects), (objects, private / _COMMON)]
    shown_as += [(copied / path.name, path) for path in closed] + [(store / path.name, path) for path in parts]
    read_only = (*closed, *parts, private / _COMMON, *_alternates(objects))
    return GitMounts(common_dir, (), read_only, shown_as=tuple(shown_as))


def _mark(admin: Path) -> bytes:
    """Return a value that changes when the worktree with this git folder is created again.

    Raises:
        OSError: The folder is not complete.
    """
    status = (admin / "gitdir").stat()
    return f"{status.st_ino} {status.st_mtime_ns}".encode()


def _make_copies(private: Path, objects: Path, admin: Path, mark: bytes) -> None:
    if private.exists():
        delete_tree(private)
    draft = private.with_name(private.name + ".new")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700, parents=True)
    shutil.copytree(admin, draft / _ADMIN, symlinks=True, ignore=shutil.ignore_patterns(RECORD_NAME))
    (draft / _OBJECTS / "info").mkdir(parents=True)
    (draft / _OBJECTS / "pack").mkdir()
    stores = [private / _COMMON, *_alternates(objects)]
    (draft / _OBJECTS / "info" / "alternates").write_bytes(b"".join(bytes(store) + b"\n" for store in stores))
    (draft / _MARK).write_bytes(mark)
    draft.rename(private)


def _alternates(objects: Path) -> list[Path]:
    """Return the existing object stores that a store borrows from, directly or not.

    Source: gitrepository-layout(5).
    """
    alternates: list[Path] = []
    waiting = [objects]
    while waiting:
        store = waiting.pop()
        with contextlib.suppress(OSError):
            for line in (store / "info" / "alternates").read_text("utf-8", "surrogateescape").splitlines():
                place = (store / line).resolve()
                if line and not line.startswith("#") and place.is_dir() and place not in alternates:
                    alternates.append(place)
                    waiting.append(place)
    return alternates


@dataclass(frozen=True, slots=True)
class OwnGit:
    """The git folder that an instance works with, read from outside its sandbox. All methods block."""

    folder: Path
    """Holds its HEAD, index and logs."""
    store: Path | None
    """Holds its objects; None if it has no sandbox and writes to the common store."""
    oid_bytes: int = 20
    """The length of object ids in its repository."""

    @classmethod
    def of(cls, admin: Path) -> OwnGit:
        """Return the git folder that an instance uses: its own copy, or without a sandbox that in the common folder.

        Args:
            admin: Its worktree's folder in the common git folder; without a record in it, the result is that folder.
        """
        record = read_record(admin)
        if record is None or record.private is None:
            return cls(admin, None)
        return cls(record.private / _ADMIN, record.private / _OBJECTS, len(record.base_oid) // 2)

    def head(self) -> str | None:
        """Return the ref or the object id in its HEAD; None if it cannot be read or is neither."""
        with _opened(self.folder) as folder:
            raw = folder.read("HEAD", limit=_MAX_HEAD_BYTES) if folder else None
        text = (raw or b"").decode("utf-8", "replace").strip()
        named = text.removeprefix("ref: ")
        if named != text:  # only a plain name: git would evaluate `^{/words}` and `@{1}`
            return named if _REF.match(named) and "@{" not in named and ".." not in named else None
        return text if _is_oid(text) else None

    def oid(self, name: str) -> str | None:
        """Return the object id in one of the files of its git folder, such as MERGE_HEAD; None if it holds none."""
        with _opened(self.folder) as folder:
            raw = folder.read(name, limit=_MAX_HEAD_BYTES) if folder else None
        text = (raw or b"").decode("utf-8", "replace").partition("\n")[0]
        return text if _is_oid(text) else None

    def status(self, name: str) -> os.stat_result | None:
        """Return the status of a file in its git folder, of a link itself; None if it cannot be reached."""
        with _opened(self.folder) as folder:
            return folder.status(name) if folder else None

    def object_status(self, oid: str) -> os.stat_result | None:
        """Return the status of an object's file in its own store; None if there is none, or no own store."""
        if self.store is None:
            return None
        with _opened(self.store) as folder:
            return folder.status(f"{oid[:2]}/{oid[2:]}") if folder else None

    def last_log_line(self) -> str:
        """Return the message of the last entry in the log of its HEAD; empty if there is none."""
        return self._last_entry().rpartition("\t")[2]

    def logged_head(self) -> str | None:
        """Return the commit to which the last entry in the log of its HEAD has moved it; None if there is none."""
        words = self._last_entry().split(" ", 2)
        return words[1] if len(words) > 2 and _is_oid(words[1]) else None

    def _last_entry(self) -> str:
        with _opened(self.folder) as folder:
            raw = folder.read_tail("logs/HEAD", size=_MAX_HEAD_BYTES) if folder else None
        return (raw or b"").decode(errors="replace").rstrip("\n").rpartition("\n")[2]

    def copy_index(self, target: Path) -> bool:
        """Copy its index to a new file of ours; return False, with no file, if it has none or one that is too large.

        An index that would expand to far more memory than its size (`is_bounded_index`) counts as too large.

        Raises:
            OSError: The target exists or cannot be written.
        """
        with _opened(self.folder) as folder:
            if folder is None or not folder.copy_out("index", target, limit=_MAX_INDEX_BYTES):
                return False
        if self.store is not None and not is_bounded_index(target, self.oid_bytes):
            target.unlink()
            return False
        return True

    def object_names(self) -> set[str]:
        """Return the ids of the objects in its own store; empty if it has none.

        They are file names that the instance chose, so each may be any text.
        """
        with _opened(self.store or self.folder) as folder:
            if folder is None or self.store is None:
                return set()
            return {f"{part:02x}{rest}" for part in range(256) for rest in folder.names(f"{part:02x}")}

    def has_submodules(self) -> bool:
        """Return whether its git folder holds repositories of submodules; False if it cannot be opened."""
        with _opened(self.folder) as folder:
            return folder is not None and folder.status("modules") is not None


def _is_oid(text: str) -> bool:
    return len(text) in (40, 64) and _HEX.issuperset(text)


def store_of(private: Path) -> Path | None:
    """Return the object store in the folder that `lay_out` created for an instance; None if it has no own store."""
    store = private / _OBJECTS
    return store if store.is_dir() else None


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[UntrustedFolder | None]:
    try:
        folder = UntrustedFolder(path)
    except OSError:
        yield None
        return
    with folder:
        yield folder
