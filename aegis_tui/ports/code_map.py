"""The code map's three outside parts: the files of a worktree, the reader of source text, and the store (MAP-1)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from aegis_tui.domain.code_map.commands import MapAsk
from aegis_tui.domain.code_map.entry import Entry
from aegis_tui.domain.code_map.facts import FileFacts, Import, MapSymbol
from aegis_tui.domain.code_map.shadow import ShadowTag, Tags


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
        """Return the files as they are now: regular files that git does not ignore, tracked or not.

        Symbolic links, submodules and changed files of more than 1 MiB are left out of `files`.

        Raises:
            GitError: git fails.
            GitUnavailable: git is missing.
            OSError: The folder of the worktree does not exist.
        """
        ...

    def contents(self, wanted: Mapping[str, str]) -> Iterator[tuple[str, bytes]]:
        """Yield path and content of each of the given files, in any order.

        It is read from the worktree if the file there has the blob id that is wanted, else from git.

        Args:
            wanted: Path -> blob id. The content that is yielded has exactly this id, or is b"" in place of one of more
                than 1 MiB.

        Raises:
            GitError: The file in the worktree has another content or cannot be read, and git has no such blob either.
            GitUnavailable: git is needed, and missing.
            OSError: The folder of the worktree does not exist.
        """
        ...

    def stale(self, listing: Listing, paths: Sequence[str]) -> list[str]:
        """Return those of `paths` whose content in the worktree is now another than in the listing, sorted, each once.

        Also those that are missing, unreadable, of more than 1 MiB, or not in the listing. Windows line ends that git
        would convert make no difference.

        Raises:
            OSError: The folder of the worktree does not exist.
        """
        ...


class FactsReader(Protocol):
    """Derives facts from source text. Blocks."""

    def derive_all(self, items: Iterable[tuple[BlobKey, bytes]], *, count: int) -> Iterator[tuple[BlobKey, Entry]]:
        """Yield for each content its key and what the store keeps of it, once each, in any order.

        A content that cannot be parsed gives at least its number of lines; a binary one gives no lines.

        Args:
            items: Key and content; the language in the key says how the content is read.
            count: About how many there are; it only decides whether other processes help.
        """
        ...


class SourceFacts(Protocol):
    """Derives the facts of one content. Blocks."""

    def derive(self, language: str, content: bytes) -> FileFacts:
        """Return the facts of a content; of one that cannot be parsed, at least its number of lines. Raises nothing.

        Args:
            language: As `language_of` gives it for the file's name.
            content: The content.
        """
        ...


class Located(NamedTuple):
    """A symbol with the file that it is in."""

    path: str
    at: int
    """Its index in the `FileFacts.symbols` of the file."""
    symbol: MapSymbol


class FileLinks(NamedTuple):
    """A file, and what it imports."""

    path: str
    lines: int
    imports: tuple[Import, ...]


class StoreStatus(NamedTuple):
    """What a store holds."""

    seq: int
    """Grows with each change of the store."""
    blobs: int
    symbols: int
    size_bytes: int

    tags: int
    """Shadow tags that have a text."""


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
        """Return those of the keys under which nothing is stored, each once, in the order given.

        Raises:
            StoreError: The store cannot be read.
        """
        ...

    def put(self, entries: Sequence[tuple[BlobKey, Entry]]) -> None:
        """Store what is known of contents, in one transaction: all of them, or none after an error.

        Contents that are stored already are left as they are.

        Raises:
            StoreError: They cannot be written; nothing was stored.
        """
        ...

    def set_view(self, view: Mapping[str, BlobKey]) -> None:
        """Set the files that all later questions on this connection are about, in place of those set before.

        If many contents are stored that are not in `view`, the oldest of these are deleted.

        Args:
            view: Path -> key of the content that the file has; a file whose content is not stored counts as absent.

        Raises:
            StoreError: The store cannot be read or written.
        """
        ...

    def paths(self) -> list[str]:
        """Return the paths of the files set by `set_view` whose content is stored, sorted.

        Raises:
            StoreError: The store cannot be read.
        """
        ...

    def named(self, name: str) -> list[Located]:
        """Return the symbols (functions, classes, headings, ...) with a name, in order of path and line.

        Empty if there are none. Only symbols in the files set by `set_view`.

        Args:
            name: A last name such as `parse`; or a dotted one such as `Reader.parse`: if no symbol has it as its whole
                name, those whose name ends with it are returned.

        Raises:
            StoreError: The store cannot be read.
        """
        ...

    def facts(self, path: str) -> FileFacts | None:
        """Return the facts of a file; None if `set_view` did not set it, or its content is not stored.

        Raises:
            StoreError: The store cannot be read.
        """
        ...

    def links(self) -> Iterator[FileLinks]:
        """Yield the files set by `set_view` whose content is stored, in order of their paths, with their imports.

        Raises:
            StoreError: The store cannot be read.
        """
        ...

    def mentioning(self, name: str) -> list[str]:
        """Return the paths of the files set by `set_view` that mention a name, in any letter case; sorted.

        A file mentions the last part of each name that it calls, imports or derives from (`FileFacts.mentions`). Empty
        for a dotted name.

        Raises:
            StoreError: The store cannot be read.
        """
        ...

    def matching(self, words: Sequence[str], *, count: int) -> list[Located]:
        """Return up to `count` symbols whose name, signature or documentation has some of the words, best first.

        Only symbols in the files set by `set_view`. Empty for no words.

        Raises:
            StoreError: The store cannot be read.
        """
        ...

    def alike(self, words: Sequence[str], *, count: int) -> list[Located]:
        """Return up to `count` symbols that are spelled most like the given words, nearest first.

        Compared are the groups of adjacent letters in these words and in a symbol's name, signature and documentation.
        Only symbols in the files set by `set_view` that have enough in common (cosine of the groups 0.2 or more). Empty
        for no words.

        Raises:
            StoreError: The store cannot be read.
        """
        ...

    def status(self) -> StoreStatus:
        """Return the store's counts and size, for all worktrees together, whatever `set_view` has set.

        Raises:
            StoreError: The store cannot be read.
        """
        ...

    def tagged(self, words: Sequence[str], *, count: int) -> list[Located]:
        """Return up to `count` symbols whose shadow tag has words that begin so, those with most of them first.

        Only symbols in the files set by `set_view`, without documentation of their own. Empty for no words.

        Raises:
            StoreError: The store cannot be read.
        """
        ...

    def tags(self, oid: str) -> Tags:
        """Return the shadow tags of the content with this blob id, also the empty ones.

        Raises:
            StoreError: The store cannot be read.
        """
        ...

    def disagreements(self) -> list[str]:
        """Return the contradictions between symbols, relations and meaning, one sentence each; empty if there are none.

        Reads everything; changes nothing.

        Raises:
            StoreError: The store cannot be read.
        """
        ...

    def close(self) -> None:
        """Close the store; a second call does nothing."""
        ...


class StoredTag(NamedTuple):
    """A shadow tag with what it is stored under."""

    oid: str
    """The blob id of the content that the definition is in."""
    name: str
    line: int
    code: str
    """The hash of the code that it was made from: equal code in another content gets the same tag."""
    text: str
    """Empty if the model said nothing that can be used; it is not asked again then."""
    model: str


class TagUse(NamedTuple):
    """What making tags has used."""

    requests: int
    tokens: int
    """Of prompts and replies together."""


class TagStore(Protocol):
    """Keeps shadow tags for what makes them (MAP-4). All methods block, and raise `StoreError` if the file fails."""

    def by_code(self, codes: Iterable[str]) -> dict[str, ShadowTag]:
        """Return the tag of each of these hashes of code for which one was made, in whatever content."""
        ...

    def put_tags(self, rows: Sequence[StoredTag], use: TagUse, *, hour: int) -> None:
        """Store tags and what making them has used: both, or nothing after an error.

        Args:
            rows: The tags; one that the same definition has already is replaced.
            use: What making them has used.
            hour: When, in hours since 1970.
        """
        ...

    def used(self, since_hour: int) -> TagUse:
        """Return what making tags has used from this hour on, that one included."""
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
        """Return the answer as an object of JSON; long lists and texts are cut, and its `cut` names them.

        Args:
            question: The question.
            root: The person's checkout.
            worktree: The instance's worktree that it is about; None for the checkout. Nothing in it is trusted.
            paths: The folders of the workspace, in which the map is stored.

        Raises:
            UsageError: The map does not have what is asked about.
            StoreError: The worktree or the map cannot be read, or there is no answer in two minutes.
        """
        ...
