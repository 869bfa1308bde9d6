"""Hubs: files that so many others import that no part should own them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from aegis_tui.domain.code_map.language import is_test
from aegis_tui.domain.partition.model import ProjectFile, Where
from aegis_tui.domain.partition.together import Together
from aegis_tui.domain.partition.units import size_of

_LEAST_IMPORTERS: Final = 6
_LEAST_SHARE: Final = 0.15
_MOST_SIZE: Final = 0.1
"""Of the whole, for all hubs together: what no part owns, nobody can work on alone."""
_MOST: Final = 8


def find_hubs(files: Sequence[ProjectFile]) -> dict[str, int]:
    """Return the hubs among source files, each with how many files import it, the most imported first.

    A hub is imported by at least 6 files, and 15 % of them; for code these are other code, for tests other tests.
    There are few hubs, and together they are at most a tenth of all code.
    """
    importers = Counter(target for file in files for target in file.imports if is_test(file.path) == is_test(target))
    by_kind = Counter(is_test(file.path) for file in files)
    left, most = _MOST_SIZE * sum(map(size_of, files)), min(_MOST, 2 + len(files) // 40)
    hubs: dict[str, int] = {}
    for file in sorted(files, key=lambda item: (-importers[item.path], item.path)):
        times = importers[file.path]
        if (
            len(hubs) < most
            and size_of(file) <= left
            and times >= max(_LEAST_IMPORTERS, _LEAST_SHARE * by_kind[is_test(file.path)])
        ):
            hubs[file.path] = times
            left -= size_of(file)
    return hubs


def place_hub(file: ProjectFile, importers: int, parts: Mapping[str, str], together: Together) -> tuple[Where, str]:
    """Return where a design puts a hub, and why: `joint` if several features will change it, else the foundation.

    Args:
        file: The hub.
        importers: How many files import it.
        parts: Path -> the part that owns it.
        together: The history.
    """
    users = len({parts[target] for target in file.imports if target in parts})
    known = f"{importers} files import it"
    if together.is_often_changed(file.path):
        times = f"{together.times[file.path]} of {len(together.changes)} commits"
        return "joint", f"{known} and {times} changed it: several features will have to change it"
    if users > 1 and file.path.rpartition("/")[2].startswith(("__init__.", "index.", "mod.")):
        return "joint", f"{known}, and it exports names of {users} parts: several features will add names of their own"
    return "foundation", f"{known}: change it before the features start, or leave it as it is"
