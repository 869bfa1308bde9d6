"""A stamp that changes when something is installed: times of folders and records that installers write (FLOW-7)."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from aegis_tui.adapters.environment.active import package_sites

_PROGRAMS = ("python3", "node", "go", "cargo", "java")
_NODE_RECORDS = (".package-lock.json", ".modules.yaml", ".yarn-state.yml", ".yarn-integrity")


def stamp(prefixes: Iterable[Path], node_modules: Iterable[Path], search_path: str, others: Iterable[Path] = ()) -> str:
    """Return a text that stays the same as long as nothing is installed, removed or replaced; blocking.

    Args:
        prefixes: Installations and virtual environments of Python.
        node_modules: Folders with that name.
        search_path: A PATH value, to find the programs of other languages.
        others: Further files whose times count; a file that does not exist does not.
    """
    return "\n".join(_times([*_paths(prefixes, node_modules, search_path), *others]))


def _paths(prefixes: Iterable[Path], node_modules: Iterable[Path], search_path: str) -> Iterator[Path]:
    for prefix in prefixes:
        yield from (prefix / "pyvenv.cfg", prefix / "bin", prefix / "conda-meta", *package_sites(prefix))
        yield Path(os.path.realpath(prefix / "bin" / "python"))
    for folder in node_modules:
        yield from (folder, *(folder / name for name in _NODE_RECORDS))
    for name in _PROGRAMS:
        if program := shutil.which(name, path=search_path):
            yield Path(os.path.realpath(program))


def _times(paths: Iterable[Path]) -> Iterator[str]:
    for path in dict.fromkeys(paths):
        try:
            yield f"{path}:{path.stat().st_mtime_ns}"
        except OSError:
            continue
