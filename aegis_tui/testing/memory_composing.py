"""Composes pieces of a repository in memory, file by file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aegis_tui.ports.composition import Composition, PiecePart
from aegis_tui.testing.memory_repository import MemoryRepository


class MemoryComposing:
    """A `Composing` over a `MemoryRepository`. Its methods raise `KeyError` for a commit that does not exist.

    Args:
        repository: Where the commits are.
    """

    def __init__(self, repository: MemoryRepository) -> None:
        self._repository = repository

    async def compose_all(self, onto: str, parts: Sequence[PiecePart]) -> Composition:
        """Apply the changes of parts to a commit; a file that was changed otherwise refuses the part."""
        files = self._repository.files
        merged, refused, meeting = dict(files(onto)), dict[str, tuple[str, ...]](), 0
        for part in parts:
            old, new = files(part.base), files(part.head)
            changed = sorted(path for path in {*old, *new} if old.get(path) != new.get(path))
            crossing = tuple(path for path in changed if merged.get(path) not in (old.get(path), new.get(path)))
            meeting += any(merged.get(path) != old.get(path) for path in changed)
            if crossing or part.name in refused:
                refused.setdefault(part.name, crossing)
                continue
            merged = {path: text for path, text in {**merged, **_taken(new, changed)}.items() if text is not None}
        tree = await self._repository.tree_of(self._repository.write_commit(merged, ()))
        return Composition(tree, refused, meeting)

    async def merges(self, base: str, tip: str) -> list[PiecePart]:
        """Return the changes that were merged between two commits of a line, oldest first, with empty names."""
        parts: list[PiecePart] = []
        while tip != base:
            before, *heads = self._repository.parents(tip)
            for head in heads:
                parts.insert(0, PiecePart("", (await self._repository.merge_bases(before, head))[0], head))
            tip = before
        return parts

    async def with_files(self, tree: str, files: Mapping[str, bytes]) -> str:
        """Return the id of a tree in which files have other contents."""
        changed = {path: content.decode() for path, content in files.items()}
        return await self._repository.tree_of(
            self._repository.write_commit({**self._repository.files(tree), **changed}, ())
        )

    async def commit(self, tree: str, parents: Sequence[str], *, message: str, at: int) -> str:
        """Write a commit and return its id; equal arguments give the same commit, whatever `at` is."""
        return self._repository.write_commit(self._repository.files(tree), parents, message)


def _taken(new: dict[str, str], changed: Sequence[str]) -> dict[str, str | None]:
    return {path: new.get(path) for path in changed}
