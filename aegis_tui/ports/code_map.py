"""The code map's three outside parts: the files of a worktree, the reader of source text, and the store (MAP-1)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from aegis_tui.domain.code_map.commands import MapAsk
from aegis_tui.domain.code_map.entry import Entry
from aegis_tui.domain.code_map.facts import FileFacts, MapSymbol


class BlobKey(NamedTuple):
    """What facts are stored under: a content and the language in which it was read."""

    oid: str
    """The id of the git blob."""
    language: str


@dataclass(frozen=True, slots=True)
class Listing:
    """The files of a worktree at one moment, in the written form of their paths."""

    tree: str | None
    """The id of the tree of HEAD; None if there is no commit."""
    files: Mapping[str, str]
    """Path -> blob id of the content that the worktree has now; ignored files are left out."""
    changed: tuple[str, ...] = ()
    """Paths whose content is not that of `tree`: changed, new and deleted ones, sorted."""
    contents: Mapping[str, bytes] = field(default_factory=dict)
    """The contents that had to be read to know their blob id, by path."""


class Files(Protocol):
    """The files of one worktree. All methods block."""

    def listing(self) -> Listing:
        """Return the files as they are now.

        Raises:
            GitError: git fails.
            GitUnavailable: git is missing.
            OSError: The folder of the worktree does not exist.
        """
        ...

    def contents(self, wanted: Mapping[str, str]) -> Iterator[tuple[str, bytes]]:
        """Yield path and content of each of the given files; one of more than 1 MiB gives b"".

        Args:
            wanted: Path -> blob id; the content that is yielded has exactly this id.

        Raises:
            GitError: The file in the worktree has another content or cannot be read, and git has no such blob either.
            OSError: The folder of the worktree does not exist.
        """
        ...

    def stale(self, listing: Listing, paths: Sequence[str]) -> list[str]:
        """Return those of `paths` whose content is not that of the listing, sorted; unknown and missing ones too."""
        ...


class FactsReader(Protocol):
    """Derives facts from source text. Blocks."""

    def derive_all(self, items: Iterable[tuple[BlobKey, bytes]], *, count: int) -> Iterator[tuple[BlobKey, Entry]]:
        """Yield what is to be stored of each content, in any order; of one that cannot be parsed, what can be read.

        Args:
            items: The contents.
            count: How many there are, about.
        """
        ...


class Located(NamedTuple):
    """A symbol with the file that it is in."""

    path: str
    at: int
    """Its index in the `FileFacts.symbols` of the file."""
    symbol: MapSymbol


class StoreStatus(NamedTuple):
    """What a store holds."""

    seq: int
    """Grows with each change of the store."""
    blobs: int
    symbols: int
    size_bytes: int


class MapStore(Protocol):
    """The three stores of a workspace: symbols, relations, meaning. A content is in all of them or in none.

    Questions about symbols are answered for the files of the view, which `set_view` sets for this connection alone.
    All methods block and raise `StoreError` if the file cannot be read or written.
    """

    @property
    def rebuilt(self) -> str | None:
        """Why the store had to be begun anew when it was opened; None if it was not."""
        ...

    def missing(self, keys: Sequence[BlobKey]) -> list[BlobKey]:
        """Return those of the keys that the store has no facts of, each once."""
        ...

    def put(self, entries: Sequence[tuple[BlobKey, Entry]]) -> None:
        """Store contents, in one transaction; those that are stored already are left as they are."""
        ...

    def set_view(self, view: Mapping[str, BlobKey]) -> None:
        """Set the view: the files, by path, that all later questions on this connection are about.

        A file whose content is not stored counts as absent.
        """
        ...

    def paths(self) -> list[str]:
        """Return the paths of the files set by `set_view` whose content is stored, sorted."""
        ...

    def named(self, name: str) -> list[Located]:
        """Return the symbols of the view with a name, in order of path and line.

        Args:
            name: A last name such as `parse`; or a dotted one: if no symbol has it as its whole name, those whose name
                ends with it are returned.
        """
        ...

    def facts(self, path: str) -> FileFacts | None:
        """Return the facts of a file; None if `set_view` did not set it, or its content is not stored."""
        ...

    def mentioning(self, name: str) -> list[str]:
        """Return the paths of the files set by `set_view` that mention a name, in any letter case; sorted.

        A file mentions the last part of each name that it calls, imports or derives from (`FileFacts.mentions`). Empty
        for a dotted name.
        """
        ...

    def matching(self, words: Sequence[str], *, count: int) -> list[Located]:
        """Return up to `count` symbols whose name, signature or documentation has some of the words, best first.

        Only symbols in the files set by `set_view`. Empty for no words.
        """
        ...

    def alike(self, words: Sequence[str], *, count: int) -> list[Located]:
        """Return up to `count` symbols that are spelled most like the given words, nearest first.

        Compared are the groups of letters in their words. Only symbols in the files set by `set_view`. Empty for no
        words.
        """
        ...

    def status(self) -> StoreStatus:
        """Return what the store holds, for all worktrees together."""
        ...

    def disagreements(self) -> list[str]:
        """Return in words where the three stores do not agree; empty if they do. Reads everything."""
        ...

    def close(self) -> None:
        """Close the store; a second call does nothing."""
        ...


class WorkspaceFolders(Protocol):
    """Where a workspace keeps its files."""

    @property
    def key(self) -> str:
        """The workspace key (contract 1)."""
        ...

    @property
    def state_dir(self) -> Path:
        """The folder of the map."""
        ...

    @property
    def runtime_dir(self) -> Path:
        """The folder of the sockets."""
        ...


class MapAnswers(Protocol):
    """Answers questions of the hub to the code map, without blocking its event loop."""

    async def ask(self, question: MapAsk, root: Path, worktree: Path | None, paths: WorkspaceFolders) -> dict[str, Any]:
        """Return the answer as values of JSON; long lists and texts are cut, and `cut` names them.

        Args:
            question: The question.
            root: The person's checkout.
            worktree: The instance's worktree that it is about; None for the checkout. Nothing in it is trusted.
            paths: Of the workspace.

        Raises:
            UsageError: The map does not have what is asked about.
            StoreError: The worktree or the map cannot be read.
        """
        ...
