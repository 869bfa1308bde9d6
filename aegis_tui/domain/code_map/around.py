"""Texts within a budget for briefs: what lies around a partition, and what a repository consists of (MAP-3, MAP-5)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from aegis_tui.domain.code_map.brief import render_brief
from aegis_tui.domain.code_map.facts import FileFacts
from aegis_tui.domain.code_map.language import is_test
from aegis_tui.domain.code_map.text import one_line
from aegis_tui.domain.count import counted

AROUND_CHARS: Final = 3_600
"""About 1,000 tokens."""
OUTLINE_CHARS: Final = 6_000
"""About 1,800 tokens."""

_FILE_LINES: Final = 14
_LINE_CHARS: Final = 200
_IMPORTED_SHARE: Final = 0.65
_NAMED_PATHS: Final = 12
_NAMES: Final = 12
_FOLDER_DOC_CHARS: Final = 90


class Neighbour(NamedTuple):
    """A file outside of a partition that has to do with it."""

    path: str
    facts: FileFacts
    names: tuple[str, ...]
    """What is imported from it by name, sorted; or, of a file that imports the partition, what it takes from there."""
    links: int
    """How many files of the partition import it, or it imports."""


class OutlineFile(NamedTuple):
    """A file of code as the outline of a repository has it."""

    path: str
    lines: int
    importers: int
    """How many files of the repository import it; the outline names the most imported ones first."""


def around_text(imported: Iterable[Neighbour], importers: Iterable[Neighbour]) -> str:
    """Return the signatures of what a partition imports, and of what imports it; empty if there is neither.

    At most `AROUND_CHARS` characters. Files with more links to the partition come first, tests last; what finds no
    place is named, as far as there is room.

    Args:
        imported: Files outside that files of the partition import.
        importers: Files outside that import files of the partition.
    """
    parts: list[str] = []
    room = AROUND_CHARS
    for head, listed, share in (
        ("Your partition imports (signatures):", _ordered(imported), _IMPORTED_SHARE),
        ("It is imported by, so a change of its names concerns (signatures):", _ordered(importers), 1.0),
    ):
        if listed:
            text = _blocks(head, listed, int(room * share) - 2, is_used=bool(parts) or share == 1.0)
            parts.append(text)
            room -= len(text) + 2
    return "\n\n".join(parts)


def _ordered(files: Iterable[Neighbour]) -> list[Neighbour]:
    return sorted(files, key=lambda item: (is_test(item.path), -item.links, item.path))


def _blocks(head: str, files: Sequence[Neighbour], room: int, *, is_used: bool) -> str:
    """Return a heading and a block for each file as long as there is room; the other files are named below.

    Args:
        head: The heading.
        files: The files, the most important first.
        room: How many characters the text may have.
        is_used: Whether the names are what the files use, not what they define.
    """
    lines, left = [head], list(files)
    room -= len(head) + 160
    while left:
        block = "\n".join(_block(left[0], is_used=is_used))
        if len(block) + 1 > room:
            break
        room -= len(block) + 1
        lines.append(block)
        left.pop(0)
    if left:
        lines.append(_named([item.path for item in left], max(60, 150 + room // 2)))
    return "\n".join(lines)


def _block(file: Neighbour, *, is_used: bool) -> Iterator[str]:
    uses = f" (uses {', '.join(file.names[:_NAMES])})" if is_used and file.names else ""
    yield f"{file.path}{uses}"
    if is_used and is_test(file.path):
        return
    facts = file.facts._replace(imports=())
    if not is_used and file.names:
        shape = render_brief(_only(facts, file.names), "signatures")
    else:
        shape = render_brief(facts, "outline")
    lines = shape.splitlines()
    yield from (f"  {line[:_LINE_CHARS]}" for line in lines[:_FILE_LINES])
    if len(lines) > _FILE_LINES:
        yield f"  ({len(lines) - _FILE_LINES} more)"


def _only(facts: FileFacts, names: Sequence[str]) -> FileFacts:
    """Return the facts with these top-level names and the public names inside of them alone."""
    wanted = frozenset(names)
    kept = [
        item
        for item in facts.symbols
        if item.name.partition(".")[0] in wanted
        and not any(part.startswith("_") for part in item.name.split(".")[1:])
        and (item.kind != "variable" or "." not in item.name)
    ]
    return facts._replace(symbols=tuple(kept))


def _named(paths: Sequence[str], room: int) -> str:
    named: list[str] = []
    for path in paths[:_NAMED_PATHS]:
        if named and sum(map(len, named)) + 2 * len(named) + len(path) + 20 > room:
            break
        named.append(path)
    more = len(paths) - len(named)
    return f"also: {', '.join(named)}" + (f" and {more} more" if more else "")


def outline_text(
    files: Sequence[OutlineFile], defined: Callable[[str], Sequence[str]], described: Callable[[str], str]
) -> str:
    """Return the folders of a repository, and in each its most important files of code with the names that they define.

    At most about `OUTLINE_CHARS` characters. Files that many others import come first, tests are only counted. Empty
    without files of code.

    Args:
        files: The files of code.
        defined: Returns the public top-level names of a file.
        described: Returns what a folder is for; empty if nothing says so.
    """
    code = sorted(
        (file for file in files if not is_test(file.path)), key=lambda file: (-file.importers, -file.lines, file.path)
    )
    shown: dict[str, list[str]] = {}
    room = OUTLINE_CHARS - 400
    for file in code:
        folder, _, name = file.path.rpartition("/")
        names = list(defined(file.path))
        more = f", {len(names) - _NAMES} more" if len(names) > _NAMES else ""
        line = f"  {name} ({counted(file.lines, 'line')}): {', '.join(names[:_NAMES]) + more or 'no public names'}"
        cost = len(line) + 1 + (len(folder) + _FOLDER_DOC_CHARS if folder not in shown else 0)
        if cost > room:
            break
        room -= cost
        shown.setdefault(folder, []).append(line)
    if not shown:
        return ""
    inside = Counter(file.path.rpartition("/")[0] for file in code)
    lines = ["The repository's code, files that others import first:"]
    for folder in sorted(shown):
        doc = one_line(described(folder), limit=_FOLDER_DOC_CHARS - 10)
        lines.append(f"{folder or '.'}/{f' - {doc}' if doc else ''}")
        lines += shown[folder]
        if hidden := inside[folder] - len(shown[folder]):
            lines.append(f"  (and {counted(hidden, 'file')} more)")
    rest = sorted(set(inside) - set(shown))
    if rest:
        lines.append(_named([f"{folder}/" for folder in rest], 200))
    if tests := len(files) - len(code):
        lines.append(f"Besides: {counted(tests, 'file')} of tests.")
    return "\n".join(lines)
