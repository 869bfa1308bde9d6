"""The files of a worktree with their blob ids, for the code map: those of HEAD's tree, and what differs from it.

git runs with the worktree's own git folder, so this is for the person's checkout, or for the process that works in a
worktree itself. It starts no filter of the repository: a file that differs is read and hashed as it is on disk.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from typing_extensions import override

from aegis_tui.adapters.git.run import GitOutput, GitRunner
from aegis_tui.adapters.git.tree_object import object_id, with_header
from aegis_tui.domain.path.file_name import name_of, write_name
from aegis_tui.ports.code_map import Listing
from aegis_tui.sdk.untrusted_folder import UntrustedFolder

MAX_FILE_BYTES: Final = 1 << 20
"""Of a larger file, the map knows only that it exists."""

_REGULAR = ("100644", "100755")
_STATUS = ("status", "--porcelain=v1", "-z", "--untracked-files=all", "--no-renames", "--ignore-submodules=all")


class WorktreeFiles:
    """Implements the port `Files` for one worktree; blocking, so call it in a thread.

    Args:
        root: The top folder of the worktree.
        git_dir: The git folder to use; None for that of the worktree.
    """

    def __init__(self, root: Path, *, git_dir: Path | None = None) -> None:
        self._root = root
        self._runner = GitRunner(git_dir=git_dir, cwd=root)
        self._tree: str | None = None
        self._files: dict[str, str] = {}

    def listing(self) -> Listing:
        """Return the files as they are now, with the blob id of each by path, and the paths that differ from HEAD.

        Symbolic links and submodules are left out, and so are changed files of more than 1 MiB. Files that git ignores
        are not there. The tree's id is None if there is no commit yet.

        Raises:
            GitError: git fails.
            GitUnavailable: git is missing.
            OSError: The folder of the worktree does not exist.
        """
        return asyncio.run(self._listing())

    async def _listing(self) -> Listing:
        head, status = await asyncio.gather(
            self._runner.run("rev-parse", "--verify", "--quiet", "HEAD^{tree}", ok=(0, 1)), self._runner.run(*_STATUS)
        )
        if head.text != self._tree:
            listed = await self._runner.run("ls-tree", "-r", "-z", "--full-tree", head.text) if head.text else None
            self._tree, self._files = head.text, {} if listed is None else _entries(listed)
        files = dict(self._files)
        changed = sorted(write_name(field[3:]) for field in status.fields() if len(field) > 3)
        contents: dict[str, bytes] = {}
        like = next(iter(files.values()), "")
        with UntrustedFolder(self._root) as folder:
            for path in changed:
                content = folder.read(name_of(path), limit=MAX_FILE_BYTES)
                if content is None:
                    files.pop(path, None)
                else:
                    contents[path] = content
                    files[path] = blob_id(content, like=like)
        return Listing(self._tree or None, files, tuple(changed), contents)

    def contents(self, wanted: Mapping[str, str]) -> Iterator[tuple[str, bytes]]:
        """Yield path and content of each file: from the folder if it has that blob id, else from the repository.

        Those from the folder come first. A content of more than 1 MiB is given as b"".

        Args:
            wanted: The blob id of each file by its path.

        Raises:
            GitError: The repository has no such blob either, or git fails.
            GitUnavailable: git is missing.
            OSError: The folder of the worktree does not exist.
        """
        others: dict[str, str] = {}
        with UntrustedFolder(self._root) as folder:
            for path, oid in wanted.items():
                content = folder.read(name_of(path), limit=MAX_FILE_BYTES)
                if content is not None and blob_id(content, like=oid) == oid:
                    yield path, content
                else:
                    others[path] = oid
        if others:
            yield from zip(others, asyncio.run(self._blobs(list(others.values()))), strict=True)

    async def _blobs(self, oids: Sequence[str]) -> list[bytes]:
        blobs: list[bytes] = []
        for oid in oids:
            size = int((await self._runner.run("cat-file", "-s", oid)).text)
            blobs.append((await self._runner.run("cat-file", "blob", oid)).stdout if size <= MAX_FILE_BYTES else b"")
        return blobs

    def stale(self, listing: Listing, paths: Sequence[str]) -> list[str]:
        """Return those of `paths` whose content is not that of the listing, sorted, each once.

        Files that are missing or over 1 MiB, and paths that the listing does not have, are returned too. CRLF instead
        of LF makes no difference.

        Raises:
            OSError: The folder of the worktree does not exist.
        """
        stale = []
        with UntrustedFolder(self._root) as folder:
            for path in sorted(set(paths)):
                content, oid = folder.read(name_of(path), limit=MAX_FILE_BYTES), listing.files.get(path)
                if content is None or oid is None or oid not in _ids(content, oid):
                    stale.append(path)
        return stale


class SnapshotFiles(WorktreeFiles):
    """The files of a worktree that an agent can write: git runs on the common folder only, on a snapshot of them.

    Args:
        root: The top folder of the worktree.
        common_dir: The git folder that all worktrees share.
        snapshot: Writes a commit of the content of a worktree, on its HEAD, and returns its id.
    """

    def __init__(self, root: Path, common_dir: Path, snapshot: Callable[[Path], Awaitable[str]]) -> None:
        super().__init__(root, git_dir=common_dir)
        self._snapshot = snapshot

    @override
    async def _listing(self) -> Listing:
        oid = await self._snapshot(self._root)
        head = await self._runner.run("rev-parse", "--verify", "--quiet", f"{oid}^1^{{tree}}")
        listed, changed = await asyncio.gather(
            self._runner.run("ls-tree", "-r", "-z", "--full-tree", oid),
            self._runner.run("diff-tree", "-r", "-z", "--name-only", "--no-renames", head.text, oid),
        )
        return Listing(head.text, _entries(listed), tuple(sorted(write_name(path) for path in changed.fields())))


def _ids(content: bytes, like: str) -> tuple[str, str]:
    """Return the id of a content as it is, and after git has converted its line ends."""
    return blob_id(content, like=like), blob_id(content.replace(b"\r\n", b"\n"), like=like)


def blob_id(content: bytes, *, like: str = "") -> str:
    """Return the id that git gives to a content.

    Args:
        content: The content, after git's conversions.
        like: Another id of the repository: one of 64 digits means SHA-256, else SHA-1.
    """
    return object_id(with_header("blob", content), len(like) // 2)


def _entries(listed: GitOutput) -> dict[str, str]:
    """Return path and blob id of each regular file in the output of `ls-tree -r -z`."""
    files: dict[str, str] = {}
    for field in listed.fields():
        about, _, path = field.partition("\t")
        mode, _, oid = about.split(" ")
        if mode in _REGULAR:
            files[write_name(path)] = oid
    return files
