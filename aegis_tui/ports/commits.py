"""The commits, blobs and refs of a git repository, named by their ids; a part of the port `Repository`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol


@dataclass(frozen=True, slots=True)
class ChangedPath:
    """One path that differs between two commits or trees."""

    path: str
    status: Literal["A", "M", "D", "R", "T"]
    """Added, modified, deleted, renamed, type changed."""
    old_path: str | None
    """The former path of a renamed file; else None."""
    mode: str
    """The file mode, `100644`: the new one, or the old one of a deleted file. `120000` is a symbolic link, `160000` a
    submodule."""
    blob: str
    """The object id of the new content, or of the old content of a deleted file."""
    old_blob: str | None = None
    """The object id of the former content; None for an added or deleted file."""


def contents_of(changed: Iterable[ChangedPath]) -> dict[str, str]:
    """Return path -> blob id of the new content, for changed files that are not deleted, links or submodules."""
    return {item.path: item.blob for item in changed if item.status != "D" and item.mode in ("100644", "100755")}


@dataclass(frozen=True, slots=True)
class Blob:
    """One blob."""

    size: int
    """In bytes."""
    content: bytes | None
    """None when it is larger than the caller allows."""


@dataclass(frozen=True, slots=True)
class Ref:
    """A ref and the id of the object that it points to."""

    name: str
    oid: str


class Commits(Protocol):
    """Reads commits and blobs, and moves refs. Paths and object ids are as in `aegis_tui.ports.repository`.

    The methods raise only `GitError`, `GitUnavailable` and `Conflict`.
    """

    async def diff_text(self, base: str, head: str, paths: Sequence[str] | None = None) -> str:
        """Return the unified diff between two commits or trees, renames detected; empty if they are equal.

        Args:
            base: The old commit or tree.
            head: The new one.
            paths: The only files and folders wanted, by name and not as patterns; if empty, so is the result. None for
                all.

        Raises:
            GitError: One of the two does not exist, or the diff is larger than 256 MiB (code `git.output`).
        """
        ...

    async def read_blob(self, oid: str, *, limit: int = 1 << 26) -> bytes:
        """Return the content of a blob, which is named by its id or as `revision:path` (contract 3).

        Raises:
            GitError: It is larger than `limit` bytes (code `git.output`), or does not exist.
        """
        ...

    async def read_blobs(self, oids: Iterable[str], *, limit: int, total: int) -> Mapping[str, Blob]:
        """Return many blobs at once, by their ids; the order does not matter.

        Args:
            oids: Their ids; one that does not exist, or is no blob, is left out of the result.
            limit: The most bytes of one blob that are read; a larger one has the content None.
            total: The most bytes that are read in all; a blob that would exceed that has the content None.

        Raises:
            GitError: git fails.
        """
        ...

    async def tree_of(self, oid: str) -> str:
        """Return the id of a commit's tree; the id of a tree is returned as it is.

        Raises:
            GitError: There is no such commit or tree.
        """
        ...

    async def resolve(self, ref: str) -> str | None:
        """Return the id of the commit that a ref or an object id names; None when there is none, or it is no commit.

        Raises:
            GitError: git does not answer in time.
        """
        ...

    async def commit_exists(self, oid: str) -> bool:
        """Return whether `oid` is the id of a commit in the repository; False for an unknown id or another object.

        Raises:
            GitError: git does not answer in time.
            GitUnavailable: git cannot be started.
        """
        ...

    async def is_ancestor(self, ancestor: str, descendant: str) -> bool:
        """Return whether `ancestor` can be reached from `descendant`, or is the same commit.

        Raises:
            GitError: One of the commits does not exist.
        """
        ...

    async def merge_bases(self, one: str, other: str) -> list[str]:
        """Return the best common ancestors of two commits, the one that git prefers first; empty if they have none.

        Raises:
            GitError: One of the commits does not exist.
        """
        ...

    async def update_ref(self, ref: str, oid: str, expect: str | None) -> None:
        """Move a ref from `expect` to `oid`; with None as `expect`, create it.

        Raises:
            Conflict: The ref does not exist or points to another object; with None, it exists.
            GitError: There is no object `oid`, or the name of the ref is not valid.
        """
        ...

    async def delete_ref(self, ref: str, expect: str) -> None:
        """Delete a ref that points to the object `expect`; the object itself stays.

        Raises:
            Conflict: The ref does not exist or points to another object.
            GitError: git fails for another reason.
        """
        ...

    async def keep(self, run: str, name: str, oid: str) -> str:
        """Keep a commit permanently: let the ref `refs/aegis/runs/<run>/<name>`, old or new, point to it.

        What the ref pointed to before is no longer kept by it.

        Returns:
            The name of the ref.

        Raises:
            GitError: There is no such commit.
        """
        ...
