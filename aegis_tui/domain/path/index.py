"""An index of values by path, which also finds the values above and below a path."""

from __future__ import annotations

from functools import lru_cache
from typing import Generic, TypeVar

from aegis_tui.domain.glob.pattern import prepare
from aegis_tui.domain.path.file_name import name_of, parent_of, write_name

T = TypeVar("T")


def path_key(path: str, *, ignore_case: bool = False) -> str:
    """Return the key of a path, equal for all its spellings, quoted or not: the name in NFC.

    With `ignore_case` it is case-folded too.

    Args:
        path: In its written form.
        ignore_case: Whether paths that differ only in case get one key.
    """
    return prepare(name_of(path), ignore_case=ignore_case)


@lru_cache(maxsize=1024)
def _directories(path: str) -> tuple[str, ...]:
    """Return every directory that `path` lies in, innermost first, in written form; cached."""
    directories: list[str] = []
    while path := parent_of(path):
        directories.append(path)
    return tuple(directories)


class PathIndex(Generic[T]):
    """Named values by path. It finds those at, above and below a path without searching the others."""

    def __init__(self) -> None:
        self._at: dict[str, dict[str, T]] = {}
        self._below: dict[str, dict[str, None]] = {}
        self._folded: dict[str, dict[str, None]] | None = None
        """Spellings by their key without letter case; made at the first question, because most never ask one."""

    def add(self, path: str, name: str, value: T) -> None:
        """Add `value` at `path`; it replaces a value with the same name there."""
        if path not in self._at:
            self._at[path] = {}
            self._spell(path)
            for directory in _directories(path):
                self._below.setdefault(directory, {})[path] = None
                self._spell(directory)
        self._at[path][name] = value

    def remove(self, path: str, name: str) -> None:
        """Remove the value with that name at `path`, if there is one."""
        values = self._at.get(path, {})
        values.pop(name, None)
        if values or path not in self._at:
            return
        del self._at[path]
        self._unspell(path)
        for directory in _directories(path):
            below = self._below[directory]
            del below[path]
            if not below:
                del self._below[directory]
                self._unspell(directory)

    def near(self, path: str) -> list[T]:
        """Return the values at `path`, at the folders above it, and at the paths below it; in no fixed order."""
        at = self._at
        items = list(at[path].values()) if path in at else []
        for directory in _directories(path):
            if directory in at:
                items += at[directory].values()
        if path in self._below:
            for inner in self._below[path]:
                items += at[inner].values()
        return items

    def spelling(self, path: str) -> str | None:
        """Return `path` in the letter case in which it, or a path above or below it, was added; None if none was.

        The part below the longest path that was added keeps its letter case. Of several spellings the first by code
        point is taken.
        """
        folded = self._spellings()
        name, tail = name_of(path), ""
        while name:
            if spellings := folded.get(prepare(name, ignore_case=True)):
                return write_name(name_of(min(spellings)) + tail)
            name, slash, last = name.rpartition("/")
            tail = f"{slash}{last}{tail}"
        return None

    def _spellings(self) -> dict[str, dict[str, None]]:
        if self._folded is None:
            self._folded = {}
            for path in (*self._at, *self._below):
                self._spell(path)
        return self._folded

    def _spell(self, path: str) -> None:
        if self._folded is not None:
            self._folded.setdefault(path_key(path, ignore_case=True), {})[path] = None

    def _unspell(self, path: str) -> None:
        if self._folded is None or path in self._at or path in self._below:
            return
        key = path_key(path, ignore_case=True)
        self._folded[key].pop(path, None)
        if not self._folded[key]:
            del self._folded[key]
