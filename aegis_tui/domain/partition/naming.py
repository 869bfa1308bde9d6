"""Names of suggested parts, after the folder or the file that most of their code is in."""

from __future__ import annotations

import posixpath
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from aegis_tui.domain.code_map.language import is_test
from aegis_tui.domain.naming import RESERVED
from aegis_tui.domain.partition.model import WHERE
from aegis_tui.domain.path.file_name import name_of

_OTHER: Final = re.compile(r"[^a-z0-9]+")
_LENGTH: Final = 32
_MOST_OF: Final = 0.5


def main_folders(sizes: Mapping[str, int]) -> list[tuple[str, int]]:
    """Return the folders that files lie in, each with the size of what is below, by the size of what is directly in it.

    The folder of files in the top folder is the empty string.

    Args:
        sizes: Path -> size.
    """
    direct: Counter[str] = Counter()
    for path, size in sizes.items():
        direct[posixpath.dirname(name_of(path))] += size
    return sorted(direct.items(), key=lambda item: (-item[1], item[0]))


def name_parts(parts: Sequence[Mapping[str, int]]) -> list[str]:
    """Return a name for each part; no two are equal, and each is valid as the id of a feature.

    Args:
        parts: Of each part, path -> size of its source files; not empty.
    """
    whole = {path: size for sizes in parts for path, size in sizes.items()}
    names: list[str] = []
    for sizes in parts:
        wanted = next((name for name in _wanted(sizes, whole) if name not in names), "part")
        count = 2
        name = wanted
        while name in names:
            name, count = f"{wanted}-{count}", count + 1
        names.append(name)
    return names


def _wanted(sizes: Mapping[str, int], whole: Mapping[str, int]) -> list[str]:
    """Return good names for a part, the best first; none of them is reserved."""
    sizes = {path: size for path, size in sizes.items() if not is_test(path)} or sizes
    below, everywhere = _below(sizes), _below(whole)
    total = sum(sizes.values())
    own = [
        folder for folder, size in below.items() if size >= _MOST_OF * total and size >= _MOST_OF * everywhere[folder]
    ]
    own.sort(key=lambda folder: (-below[folder], -folder.count("/"), folder))
    largest = sorted(sizes, key=lambda path: (-sizes[path], path))
    stems = [posixpath.basename(name_of(path)).partition(".")[0] for path in largest[:5]]
    names = [_safe(posixpath.basename(folder)) for folder in own] + [_safe(stem) for stem in stems]
    return [name for name in names if name and name not in RESERVED and name not in WHERE and name != "init"]


def _below(sizes: Mapping[str, int]) -> Counter[str]:
    below: Counter[str] = Counter()
    for path, size in sizes.items():
        folder = posixpath.dirname(name_of(path))
        while folder:
            below[folder] += size
            folder = posixpath.dirname(folder)
    return below


def _safe(text: str) -> str:
    return _OTHER.sub("-", text.lower()).strip("-")[:_LENGTH].strip("-")
