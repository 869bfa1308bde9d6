"""Translates paths of any checkout of the repository to the worktree, for the sources of installs."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Iterable
from pathlib import Path

_NOT_PACKAGES = frozenset(
    {"test", "tests", "doc", "docs", "example", "examples", "scripts", "benchmarks", "build", "dist"}
)
_NOT_MODULES = frozenset({"setup", "conftest", "noxfile", "tasks", "fabfile", "manage", "toxfile"})
_MANY = 2_000


def provided_names(folder: Path) -> set[str]:
    """Return the names of packages and modules that Python can import from a folder.

    Empty if it cannot be read. Of more than 2,000 entries, only some are looked at.
    """
    names: set[str] = set()
    for entry in _entries(folder):
        if entry.name.endswith(".py") and entry.is_file():
            names.add(entry.name[:-3])
        elif entry.name.isidentifier() and entry.is_dir() and Path(entry.path, "__init__.py").is_file():
            names.add(entry.name)
    return names


def _has_code(folder: Path) -> bool:
    """Return whether a folder such as `src` contains a folder with Python files: a package without `__init__.py`."""
    return any(
        entry.is_dir() and entry.name.isidentifier() and any(item.name.endswith(".py") for item in _entries(entry))
        for entry in _entries(folder)
    )


def _entries(folder: Path | os.DirEntry[str]) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return [entry for _, entry in zip(range(_MANY), entries, strict=False)]
    except OSError:
        return []


class TreeMap:
    """Translates paths of checkouts to the worktree.

    Args:
        root: The person's checkout.
        worktree: The tree that is to be imported instead.
    """

    def __init__(self, root: Path, worktree: Path) -> None:
        self.root, self.worktree = root, worktree
        self.known: list[tuple[Path, Path]] = []
        """Further folders and their new places, such as a virtual environment; tried before the checkout."""

    def translate(self, text: str) -> str | None:
        """Return the path in the worktree that stands for an absolute path in a checkout; it may not exist.

        A path in a folder of `known` gives the path in that folder's new place. None if the path is in none of these
        folders and in no checkout of this repository.
        """
        path = Path(text)
        for old, new in (*self.known, (self.root, self.worktree)):
            for candidate in (path, Path(os.path.realpath(path))):
                if candidate.is_relative_to(old):
                    return str(new / candidate.relative_to(old))
        other = self._other_checkout(path)
        return None if other is None else str(self.worktree / path.relative_to(other))

    def _other_checkout(self, path: Path) -> Path | None:
        """Return the top folder of another checkout of this repository that contains the path; None if there is none.

        It is recognised by a package at the path that the worktree has at the same place too.
        """
        for top in (path, *path.parents):
            if top.is_relative_to(self.worktree) or not (top / ".git").exists():
                continue
            same = self.worktree / path.relative_to(top)
            return top if provided_names(path) & (provided_names(same) - _NOT_PACKAGES - _NOT_MODULES) else None
        return None

    def import_roots(self, targets: Iterable[Path] = ()) -> list[Path]:
        """Return the folders of the worktree to put first on Python's import path; may be empty.

        They are the existing ones of `targets`, and `src` and the worktree itself if they contain packages; but not the
        worktree if one of its packages has the name of a standard module.

        Args:
            targets: Folders of the worktree that editable installs name.
        """
        roots = [target for target in targets if target.is_dir() and target.is_relative_to(self.worktree)]
        source = self.worktree / "src"
        if source.is_dir() and (provided_names(source) or _has_code(source)):
            roots.append(source)
        own = provided_names(self.worktree) - _NOT_PACKAGES - _NOT_MODULES
        if own and not own & sys.stdlib_module_names:
            roots.append(self.worktree)
        return list(dict.fromkeys(roots))

    def packages(self, roots: Collection[Path]) -> dict[str, Path]:
        """Return the packages and modules that the import roots provide, as import name -> folder or file.

        Of two with the same name, that of the first root counts. Names such as `tests` and `setup`, which are in many
        projects, are left out.
        """
        packages: dict[str, Path] = {}
        for root in roots:
            for name in sorted(provided_names(root) - _NOT_PACKAGES - _NOT_MODULES):
                folder = root / name
                packages.setdefault(name, folder if folder.is_dir() else root / f"{name}.py")
        return packages
