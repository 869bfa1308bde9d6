"""Objects of a repository of the hub's own, which borrows the person's: read and written without a process for each.

Nothing is written to the person's repository, and git runs under none of its settings, nor the person's: no filter,
merge driver or hook can be configured here (`LiveTrees`).
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import subprocess
import zlib
from collections import OrderedDict
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

from aegis_tui.adapters.git.condition import alternates_of
from aegis_tui.adapters.git.reader import ObjectFacts, read_facts
from aegis_tui.adapters.git.run import OPTIONS, environment
from aegis_tui.adapters.git.tree_object import TreeEntries, object_id, parse_tree, render_tree, with_header
from aegis_tui.errors import GitError, GitUnavailable

NO_SETTINGS = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_ATTR_NOSYSTEM": "1",
}
"""Variables under which git reads no settings but those of the repository."""

_DEADLINE_S = 20.0
_CHUNK = 1 << 16
_KEPT_ENTRIES = 500_000
_KEPT_COMMITS = 4096
_MAX_TREE_BYTES = 32 << 20
_MAX_COMMIT_BYTES = 1 << 20
_SHA1_BYTES = 20
_CONFIG = """\
[core]
\trepositoryformatversion = {version}
\tbare = true
\tattributesFile = {nothing}
\tcompression = 1
[merge]
\tconflictStyle = zdiff3
\trenameLimit = 1000
[gc]
\tauto = 0
[extensions]
{extensions}"""


class Commit(NamedTuple):
    """What a comparison needs of a commit: no author, message or signature."""

    tree: str
    """The id of the tree object that holds the files of the commit."""
    parents: tuple[str, ...]
    """The ids of its parents, in order; empty for the first commit of a repository."""
    date: str
    """When it was committed, as in the object: seconds since 1970 and the time zone."""


T = TypeVar("T")


class SizedCache(Generic[T]):
    """The values that were used last, by key, as long as their sizes together do not exceed a limit.

    Args:
        most: The limit. A single larger value is kept until the next one comes.
    """

    def __init__(self, most: int) -> None:
        self._most, self._size = most, 0
        self._kept: OrderedDict[object, tuple[T, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: object) -> T | None:
        """Return the value that was put under this key; None if it is not kept."""
        if (kept := self._kept.get(key)) is None:
            return None
        self._kept.move_to_end(key)
        return kept[0]

    def put(self, key: object, value: T, size: int) -> T:
        """Keep a value of this size, at least 1, and return it; those that were not used for longest are dropped."""
        if (former := self._kept.pop(key, None)) is not None:
            self._size -= former[1]
        self._kept[key] = (value, size)
        self._size += size
        while self._size > self._most and len(self._kept) > 1:
            self._size -= self._kept.popitem(last=False)[1][1]
        return value


class ObjectStore:
    """A bare repository in a folder of its own. All methods block; used from one thread at a time.

    Methods raise `GitError` if git fails or does not answer, `GitUnavailable` if it cannot be started, and `OSError` if
    an object cannot be written.

    Args:
        folder: An existing, empty folder; the repository becomes `folder/git`.
        common_dir: The git folder of the repository whose objects are borrowed.
        oid_bytes: The length of its object ids: 20 for SHA-1, 32 for SHA-256.
    """

    def __init__(self, folder: Path, common_dir: Path, oid_bytes: int) -> None:
        self.git_dir = folder / "git"
        self.folder = folder
        self.written = 0
        """How many bytes of objects were written, before compression."""
        self.snapshots: dict[str, str] = {}
        """The commits of `write_snapshot`, each with its parent."""
        self._oid_bytes = oid_bytes
        self._reader: subprocess.Popen[bytes] | None = None
        self._buffer = bytearray()
        self._trees: SizedCache[TreeEntries] = SizedCache(_KEPT_ENTRIES)
        self._commits: SizedCache[Commit] = SizedCache(_KEPT_COMMITS)
        self._lay_out(common_dir)

    def _lay_out(self, common_dir: Path) -> None:
        objects = self.git_dir / "objects"
        for place in (objects / "info", objects / "pack", self.git_dir / "refs", self.git_dir / "info"):
            place.mkdir(parents=True)
        stores = [common_dir / "objects", *alternates_of(common_dir)]
        (objects / "info" / "alternates").write_bytes(b"".join(bytes(store) + b"\n" for store in stores))
        is_long = self._oid_bytes != _SHA1_BYTES
        extensions = "\tobjectFormat = sha256\n" if is_long else ""
        config = _CONFIG.format(version=1 if is_long else 0, nothing=os.devnull, extensions=extensions)
        (self.git_dir / "config").write_text(config, "ascii")
        (self.git_dir / "HEAD").write_text("ref: refs/heads/none\n", "ascii")
        for name in ("shallow", "info/attributes", "info/exclude"):
            with contextlib.suppress(FileNotFoundError):
                shutil.copyfile(common_dir / name, self.git_dir / name)

    def close(self) -> None:
        """End git's process; the folder stays. Any later call starts a new process."""
        reader, self._reader = self._reader, None
        self._buffer.clear()
        if reader is not None:
            reader.kill()
            reader.communicate()

    def read(self, oid: str, *, limit: int) -> tuple[str, bytes] | None:
        """Return the type and the content of an object; None if it is missing or larger than `limit` bytes."""
        try:
            facts = self._ask(f"info {oid}")
            if facts is None or facts.size > limit:
                return None
            self._ask(f"contents {oid}")
            return facts.kind, self._take(facts.size + 1)[:-1]
        except (OSError, ValueError) as error:
            self.close()
            raise GitError(f"git cannot read objects: {error}") from error

    def _ask(self, request: str) -> ObjectFacts | None:
        """Send one request to `git cat-file` and return what the first line of its answer says; content may follow.

        Source: git-cat-file(1), `--batch-command`.
        """
        reader = self._reader if self._reader is not None else self._start()
        assert reader.stdin is not None
        reader.stdin.write(f"{request}\n".encode("ascii"))
        reader.stdin.flush()
        while (end := self._buffer.find(b"\n")) < 0:
            self._receive()
        return read_facts(self._take(end + 1))

    def _take(self, count: int) -> bytes:
        while len(self._buffer) < count:
            self._receive()
        taken = bytes(self._buffer[:count])
        del self._buffer[:count]
        return taken

    def _receive(self) -> None:
        reader = self._reader
        assert reader is not None and reader.stdout is not None
        ready = select.poll()
        ready.register(reader.stdout, select.POLLIN)
        chunk = os.read(reader.stdout.fileno(), _CHUNK) if ready.poll(_DEADLINE_S * 1000) else b""
        if not chunk:
            raise OSError("it ended, or did not answer in time")
        self._buffer += chunk

    def _start(self) -> subprocess.Popen[bytes]:
        argv = ["git", *OPTIONS, f"--git-dir={self.git_dir}", "cat-file", "--batch-command"]
        try:
            self._reader = subprocess.Popen(
                argv,
                cwd=self.folder,
                env=environment(NO_SETTINGS),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError as error:
            raise GitUnavailable(f"git cannot be started: {error.strerror}", "check that git is executable") from error
        return self._reader

    def write(self, kind: str, content: bytes) -> str:
        """Store an object of type `blob`, `tree` or `commit`, unless it was stored here before; return its id."""
        stored = with_header(kind, content)
        oid = object_id(stored, self._oid_bytes)
        path = self.git_dir / "objects" / oid[:2] / oid[2:]
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            draft = path.with_name(f"tmp_{oid[2:]}")
            draft.write_bytes(zlib.compress(stored, 1))
            draft.rename(path)
            self.written += len(content)
        return oid

    def tree(self, oid: str) -> TreeEntries:
        """Return the entries of a tree; do not change them.

        Raises:
            GitError: There is no such tree, or it is too large.
        """
        if (known := self._trees.get(oid)) is not None:
            return known
        answer = self.read(oid, limit=_MAX_TREE_BYTES)
        if answer is None or answer[0] != "tree":
            raise GitError(f"there is no tree {oid}, or it is too large")
        return self._keep(oid, parse_tree(answer[1], self._oid_bytes))

    def write_tree(self, entries: TreeEntries) -> str:
        """Store a tree with these entries, in any order, and return its id."""
        oid = self.write("tree", render_tree(entries))
        self._keep(oid, entries)
        return oid

    def _keep(self, oid: str, entries: TreeEntries) -> TreeEntries:
        return self._trees.put(oid, entries, 1 + len(entries))

    def commit(self, oid: str) -> Commit:
        """Return the tree, the parents and the date of a commit.

        Raises:
            GitError: There is no such commit, or it is too large.
        """
        if (known := self._commits.get(oid)) is not None:
            return known
        answer = self.read(oid, limit=_MAX_COMMIT_BYTES)
        if answer is None or answer[0] != "commit":
            raise GitError(f"there is no commit {oid}")
        lines = answer[1].partition(b"\n\n")[0].decode("utf-8", "replace").split("\n")
        fields = [(name, value) for name, _, value in (line.partition(" ") for line in lines)]
        parents = tuple(value for name, value in fields if name == "parent")
        named = dict(fields)
        date = named.get("committer", "").partition("> ")[2]
        return self._commits.put(oid, Commit(named["tree"], parents, date), 1)

    def write_snapshot(self, tree: str, parent: str) -> str:
        """Store a commit of a tree, with the date of its parent, and return its id; equal arguments give an equal id.

        Raises:
            GitError: There is no such parent.
        """
        date = self.commit(parent).date
        who = f"aegis-tui <hub@aegis.invalid> {date}"
        text = f"tree {tree}\nparent {parent}\nauthor {who}\ncommitter {who}\n\nsnapshot\n"
        oid = self.write("commit", text.encode())
        self._commits.put(oid, Commit(tree, (parent,), date), 1)
        self.snapshots[oid] = parent
        return oid
