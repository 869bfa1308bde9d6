"""What a sandboxed instance has of git: copies of its own, shown at the places of the real ones.

Its worktree's git folder (HEAD, index, logs) and a store for the objects that it makes. So nothing that it writes
there is read by git of anybody else: not by the person's, and by the hub only through `UntrustedFolder`. The common
objects are an alternate of its own store, read-only.
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
    """Make an instance's copies and say where they are shown; blocking. Copies that are there already stay as they are.

    Args:
        private: A folder for this instance alone, which no sandbox shows.
        common_dir: The repository's common git folder.
        worktree: Fresh: no agent has been in it.
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
    """What differs after a worktree was made anew."""
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
    """The stores that the common one borrows from, and those that they do. Source: gitrepository-layout(5)."""
    found: list[Path] = []
    waiting = [objects]
    while waiting:
        store = waiting.pop()
        with contextlib.suppress(OSError):
            for line in (store / "info" / "alternates").read_text("utf-8", "surrogateescape").splitlines():
                place = (store / line).resolve()
                if line and not line.startswith("#") and place.is_dir() and place not in found:
                    found.append(place)
                    waiting.append(place)
    return found


@dataclass(frozen=True, slots=True)
class OwnGit:
    """The git folder that an instance works with, read from outside. Blocking, but for its fields."""

    folder: Path
    """Its HEAD, index and logs."""
    store: Path | None
    """Its objects; None where it writes into the common ones, for want of a sandbox."""
    oid_bytes: int = 20
    """The length of object ids in its repository."""

    @classmethod
    def of(cls, admin: Path) -> OwnGit:
        """That of the worktree with this folder in the common one."""
        record = read_record(admin)
        if record is None or record.private is None:
            return cls(admin, None)
        return cls(record.private / _ADMIN, record.private / _OBJECTS, len(record.base_oid) // 2)

    def head(self) -> str | None:
        """The ref or the object id that its HEAD names; None when that cannot be read."""
        with _opened(self.folder) as folder:
            raw = folder.read("HEAD", limit=_MAX_HEAD_BYTES) if folder else None
        text = (raw or b"").decode("utf-8", "replace").strip()
        named = text.removeprefix("ref: ")
        if named != text:  # a name and no expression: git reads `^{/words}` and `@{1}` behind one
            return named if _REF.match(named) and "@{" not in named and ".." not in named else None
        return text if _is_oid(text) else None

    def oid(self, name: str) -> str | None:
        """The object id in one of its files, such as MERGE_HEAD."""
        with _opened(self.folder) as folder:
            raw = folder.read(name, limit=_MAX_HEAD_BYTES) if folder else None
        text = (raw or b"").decode("utf-8", "replace").partition("\n")[0]
        return text if _is_oid(text) else None

    def status(self, name: str) -> os.stat_result | None:
        """What bears a name in its git folder; None for nothing."""
        with _opened(self.folder) as folder:
            return folder.status(name) if folder else None

    def object_status(self, oid: str) -> os.stat_result | None:
        """What bears the name of an object in its own store; None for nothing."""
        if self.store is None:
            return None
        with _opened(self.store) as folder:
            return folder.status(f"{oid[:2]}/{oid[2:]}") if folder else None

    def last_log_line(self) -> str:
        """What was done last, as the log of its HEAD says it; empty where there is none."""
        with _opened(self.folder) as folder:
            raw = folder.read_tail("logs/HEAD", size=_MAX_HEAD_BYTES) if folder else None
        return (raw or b"").decode(errors="replace").rstrip("\n").rpartition("\n")[2].rpartition("\t")[2]

    def copy_index(self, target: Path) -> bool:
        """Copy its index to a new file of ours; False where it has none that git may read."""
        with _opened(self.folder) as folder:
            if folder is None or not folder.copy_out("index", target, limit=_MAX_INDEX_BYTES):
                return False
        if self.store is not None and not is_bounded_index(target, self.oid_bytes):
            target.unlink()
            return False
        return True

    def object_names(self) -> set[str]:
        """The ids of the objects in its own store, as their files are named."""
        with _opened(self.store or self.folder) as folder:
            if folder is None or self.store is None:
                return set()
            return {f"{part:02x}{rest}" for part in range(256) for rest in folder.names(f"{part:02x}")}

    def has_submodules(self) -> bool:
        """True if it keeps repositories of submodules."""
        with _opened(self.folder) as folder:
            return folder is not None and folder.status("modules") is not None


def _is_oid(text: str) -> bool:
    return len(text) in (40, 64) and _HEX.issuperset(text)


def store_of(private: Path) -> Path | None:
    """The objects that an instance has made, of its folder as given to `lay_out`; None where it has none of its own."""
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
