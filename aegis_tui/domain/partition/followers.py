"""Where files go that are no code: to the part that owns the code around them, or outside of all parts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

from aegis_tui.domain.partition.model import Where
from aegis_tui.domain.partition.together import Together
from aegis_tui.domain.path.file_name import name_of

_DOCUMENTS: Final = (".md", ".rst", ".txt", ".adoc", ".markdown")


class Followers:
    """Decides for one repository.

    Args:
        parts: Path of each source file -> the part that owns it, or "" for a hub.
        others: The files that are no code.
        together: The history.
    """

    def __init__(self, parts: Mapping[str, str], others: Iterable[str], together: Together) -> None:
        self._together = together
        self._around: dict[str, set[str]] = {}
        for path, part in parts.items():
            for folder in _folders(path):
                self._around.setdefault(folder, set()).add(part)
        self._documents: Counter[str] = Counter()
        """How many more documents than other files there are, by the outermost folder without code."""
        for path in others:
            self._documents[self._outermost(path)] += 1 if _is_document(path) else -1
        self._seen: dict[str, set[str]] = {}
        for changed in together.changes:
            owners = {part for path in changed if (part := parts.get(path, ""))}
            for path in changed:
                if path not in parts:
                    self._seen.setdefault(path, set()).update(owners)

    def place(self, path: str) -> tuple[str, Where | None, str]:
        """Return the part that owns a file; or "", where a design puts it instead, and why."""
        around = next((owners for folder in _folders(path) if (owners := self._around.get(folder))), set())
        if len(around - {""}) == 1:
            return next(iter(around - {""})), None, ""
        parts = len(self._seen.get(path, ()))
        if self._together.is_often_changed(path) and parts > 1:
            times = f"{self._together.times[path]} of {len(self._together.changes)} commits"
            return "", "joint", f"{times} changed it, together with {parts} parts"
        alone = self._outermost(path)
        if self._documents[alone] > 0 if alone else _is_document(path):
            return "", "joint", "documents that several features may have to update"
        return "", "shared", "no code, and not in the folder of one part alone"

    def _outermost(self, path: str) -> str:
        """Return the outermost folder around a file with no code below it; empty if there is none."""
        return next((folder for folder in reversed(list(_folders(path))) if folder not in self._around), "")


def _is_document(path: str) -> bool:
    return name_of(path).lower().endswith(_DOCUMENTS)


def _folders(path: str) -> Iterable[str]:
    """Yield the folders around a file, the innermost first, without the top folder."""
    folder = name_of(path).rpartition("/")[0]
    while folder:
        yield folder
        folder = folder.rpartition("/")[0]
