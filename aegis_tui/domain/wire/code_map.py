"""The answers of the code map as JSON, and as `aegis-tui map` prints them with `--json` (MAP-5)."""

from __future__ import annotations

from typing import NotRequired, TypedDict, final


class MapAnswer(TypedDict):
    """What every answer has."""

    seq: int
    """The number of the map."""
    tree: str | None
    """The git tree that the map describes."""
    changed: list[str]
    """Paths whose content differs from `tree`; the answer takes the differences into account."""
    stale: list[str]
    """Paths in the answer whose content has changed since the map read it."""
    rebuilt: NotRequired[str | None]
    """Why the map was rebuilt, if it was."""


class BuildOutput(MapAnswer):
    """`map build`."""

    files: int
    derived: int
    """How many of them were analysed now; the others were known already."""
    wall_s: float


class MapStatusOutput(MapAnswer):
    """`map status`."""

    files: int
    blobs: int
    symbols: int
    size_bytes: int
    tags: NotRequired[int]
    """How many definitions without documentation have a line that a model wrote."""
    languages: dict[str, int]
    """Language -> how many files."""
    disagreements: NotRequired[list[str]]
    """What does not match in the map; only with `--check`."""


class SymbolRow(TypedDict):
    """One definition."""

    path: str
    name: str
    kind: str
    line: int
    first: int
    last: int
    signature: str
    doc: str
    machine_doc: NotRequired[str]
    """What a model wrote about it, as it has no documentation; may be wrong (`shadow tag`)."""


class SymbolsOutput(MapAnswer):
    """`map find` and `map search`."""

    symbols: list[SymbolRow]


class CalledRow(SymbolRow):
    """One definition that is called."""

    called_at: int
    """The line of the call."""


class CalleesOutput(MapAnswer):
    """`map callees`."""

    of: list[str]
    """The definitions that the question is about, as `PATH:SYMBOL`."""
    symbols: list[CalledRow]


class SiteRow(TypedDict):
    """One place that calls or mentions a definition. The answers of `map callers` have all fields."""

    path: str
    line: int
    caller: str
    call: str
    certain: bool
    signature: NotRequired[str]
    """Of the definition around the call; empty outside of all."""
    code_line: NotRequired[int]
    """The number of the first line in `code`; 0 if that is empty."""
    code: NotRequired[str]
    """The lines of the call, and two before and after it in that definition, as they are written; long ones are cut.

    Empty if a row before it shows them, or the answer has much code already.
    """


class DefinitionRow(SymbolRow):
    """One definition with its code."""

    code: str
    """Its lines as they are written; empty for one of more than 40 lines, or if the answer has much code already."""


class SitesOutput(MapAnswer):
    """`map callers` and `map tests`."""

    of: list[str]
    """The definitions that the question is about, as `PATH:SYMBOL`."""
    definitions: NotRequired[list[DefinitionRow]]
    """The same with their signatures, documentation and code, at most 10; only in the answer of `map callers`."""
    sites: list[SiteRow]


_ShownAs = TypedDict("_ShownAs", {"as": str})


@final
class ShownText(_ShownAs, MapAnswer):
    """`map show` of a file or a symbol."""

    path: str
    symbol: str
    lines: list[int]
    """First and last line."""
    text: str
    machine_doc: NotRequired[str]
    """What a model wrote about the symbol, as it has no documentation; may be wrong. Empty if none did."""
    pointers: list[str]
    """What it calls, as `PATH:SYMBOL`."""


class FolderRow(TypedDict):
    """A folder, and how many files are in it."""

    path: str
    files: int
    doc: NotRequired[str]
    """What it is for, from the documentation of the package or the README in it; empty if none of them says so."""
    holds: NotRequired[list[str]]
    """What is directly in it: folders with a slash at the end, and files; at most 20."""


class FileRow(TypedDict):
    """A file, and what it defines."""

    path: str
    lines: int
    defines: list[str]
    doc: str


@final
class ShownFolder(MapAnswer):
    """`map show` of a folder."""

    path: str
    doc: NotRequired[str]
    """What it is for, like `doc` of a folder in it."""
    folders: list[FolderRow]
    files: list[FileRow]


class DependentRow(TypedDict):
    """A file that a change may affect."""

    path: str
    calls: list[str]
    is_test: bool


class ImpactOutput(MapAnswer):
    """`map impact`."""

    path: str
    dependents: list[DependentRow]


class PartRow(TypedDict):
    """Files that one worker could own."""

    name: str
    globs: list[str]
    files: int
    lines: int
    """Of its code."""
    reason: str


class OutsideRow(TypedDict):
    """Files that no part should own."""

    glob: str
    where: str
    """Where a design puts them: `joint`, `foundation` or `shared`."""
    files: int
    reason: str


class PartitionOutput(MapAnswer):
    """`partition suggest`."""

    parts: list[PartRow]
    """No two of their globs, and of those in `outside`, match the same path."""
    outside: list[OutsideRow]
    imports: int
    """How many imports there are between files that parts own."""
    cut: int
    """How many of `imports` go from one part to another."""
    notes: list[str]
