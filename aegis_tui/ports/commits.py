"""The commits, blobs and refs of a git repository, named by their ids; a part of the port `Repository`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class Commits(Protocol):
    """Reads commits and blobs, and moves refs. Paths and object ids are as in `aegis_tui.ports.repository`.

    The methods raise only `GitError`, `GitUnavailable` and `Conflict`.
    """

    async def diff_text(self, base: str, head: str, paths: Sequence[str] | None = None) -> str:
        """Return the unified diff between two commits or trees, of `paths` only if given; empty for an empty list."""
        ...

    async def read_blob(self, oid: str, *, limit: int = 1 << 26) -> bytes:
        """Return the content of a blob, which is named by its id or as `revision:path` (contract 3).

        Raises:
            GitError: It is larger than `limit` bytes (code `git.output`), or does not exist.
        """
        ...

    async def tree_of(self, oid: str) -> str:
        """Return the id of a commit's tree.

        Raises:
            GitError: There is no such commit.
        """
        ...

    async def resolve(self, ref: str) -> str | None:
        """Return the id of the commit that a ref or an object id names; None when there is none."""
        ...

    async def commit_exists(self, oid: str) -> bool:
        """Return whether that commit is in the repository."""
        ...

    async def is_ancestor(self, ancestor: str, descendant: str) -> bool:
        """Return whether `ancestor` can be reached from `descendant`, or is the same commit.

        Raises:
            GitError: One of the commits does not exist.
        """
        ...

    async def merge_bases(self, one: str, other: str) -> list[str]:
        """Return the best common ancestors of two commits, the one that git prefers first; empty if they have none."""
        ...

    async def update_ref(self, ref: str, oid: str, expect: str | None) -> None:
        """Move a ref from `expect` to `oid`; with None as `expect`, create it.

        Raises:
            Conflict: The ref does not exist or points to another object; with None, it exists.
        """
        ...

    async def delete_ref(self, ref: str, expect: str) -> None:
        """Delete a ref that points to `expect`.

        Raises:
            Conflict: The ref does not exist or points to another object.
        """
        ...

    async def keep(self, run: str, name: str, oid: str) -> str:
        """Keep a commit permanently: let the ref `refs/aegis/runs/<run>/<name>`, old or new, point to it.

        Returns:
            The name of the ref.
        """
        ...
