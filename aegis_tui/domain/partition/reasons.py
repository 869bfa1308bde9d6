"""Why a part is as it is, in a sentence: how many imports stay inside, and what binds it to other parts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from aegis_tui.domain.count import counted
from aegis_tui.domain.partition.model import WHERE, ProjectFile
from aegis_tui.domain.partition.naming import main_folders


class Imports(NamedTuple):
    """How many imports of files by others there are between parts."""

    between: Counter[tuple[str, str]]
    """The part of the importing file, the part of the imported one -> how many; both may be the same."""

    @property
    def all(self) -> int:
        """Return how many there are."""
        return self.between.total()

    @property
    def cut(self) -> int:
        """Return how many of them go from one part to another."""
        return sum(times for (one, other), times in self.between.items() if one != other)


def count_imports(files: Sequence[ProjectFile], owners: Mapping[str, str]) -> Imports:
    """Return the imports between files that are owned by parts.

    Args:
        files: The source files.
        owners: Path -> the part, or one of `WHERE` for a file outside of all parts.
    """
    between: Counter[tuple[str, str]] = Counter()
    for file in files:
        for target in file.imports:
            pair = (owners[file.path], owners.get(target, WHERE[-1]))
            if not set(pair) & set(WHERE):
                between[pair] += 1
    return Imports(between)


def part_reason(name: str, sizes: Mapping[str, int], imports: Imports, together: int) -> str:
    """Return why the files of a part belong together, on one line.

    Args:
        name: The part.
        sizes: Path -> size of its source files.
        imports: Those between all parts.
        together: How many pairs of its files are often changed together.
    """
    folders = [folder or "the top folder" for folder, _ in main_folders(sizes)]
    more = f" and {counted(len(folders) - 2, 'more folder')}" if len(folders) > 2 else ""
    words = [f"{' and '.join(folders[:2]) if not more else ', '.join(folders[:2])}{more}"]
    across: Counter[str] = Counter()
    for (one, other), times in imports.between.items():
        if (one == name) != (other == name):
            across[other if one == name else one] += times
    inside = imports.between[(name, name)]
    words.append(f"imports: {inside} inside, {across.total()} to or from other parts")
    if across:
        nearest = min(across, key=lambda other: (-across[other], other))
        words[-1] += f" ({across[nearest]} of them to or from {nearest})"
    if together:
        words.append(f"{counted(together, 'pair')} of files often changed together")
    return "; ".join(words)
