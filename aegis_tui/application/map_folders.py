"""What a folder of the code map holds: the index from repository over folders and files to what they define (MAP-4)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from aegis_tui.domain.code_map.facts import FileFacts
from aegis_tui.domain.wire.code_map import FileRow, FolderRow
from aegis_tui.errors import UsageError

_MOST_NAMED: Final = 50
_MOST_HELD: Final = 20
_NAMED: Final = ("class", "function")
_SPEAKERS: Final = ("__init__.py", "mod.rs", "lib.rs", "doc.go", "README.md", "readme.md", "index.md")
"""The files that say what their folder is for, the best first."""

FindFacts = Callable[[str], FileFacts | None]
"""Returns the facts of a file; None if it has none."""


def folder_rows(folder: str, paths: Iterable[str], facts: FindFacts) -> tuple[list[FolderRow], list[FileRow]]:
    """Return the folders in a folder, with the number of files below each, and its files with what they define.

    Args:
        folder: Its path in the repository, without a slash at the end; empty for the whole repository.
        paths: All files of the map.
        facts: Returns the facts of a file.

    Raises:
        UsageError: The map has no file in such a folder.
    """
    prefix = f"{folder}/" if folder else ""
    inside = sorted(path for path in paths if path.startswith(prefix))
    if not inside:
        raise UsageError(f"{folder} is not in the map", "aegis-tui map show . lists the files and folders in it")
    folders: dict[str, list[str]] = {}
    files: list[FileRow] = []
    for path in inside:
        name, slash, _ = path[len(prefix) :].partition("/")
        if slash:
            folders.setdefault(prefix + name, []).append(path)
        else:
            files.append(_file_row(path, facts(path)))
    return [_folder_row(name, held, facts) for name, held in folders.items()], files


def folder_doc(folder: str, paths: Iterable[str], facts: FindFacts) -> str:
    """Return what a folder is for, on one line; empty if none of its files says so.

    It is the documentation of the package (`__init__.py`, `mod.rs`, `lib.rs`, `doc.go`), or what the front matter of
    the README says, or its first heading.

    Args:
        folder: Its path without a slash at the end; empty for the whole repository.
        paths: Files of the map; those outside of the folder have no effect.
        facts: Returns the facts of a file.
    """
    prefix, held = f"{folder}/" if folder else "", frozenset(paths)
    docs = (_doc(facts(prefix + name)) for name in _SPEAKERS if prefix + name in held)
    return next(filter(None, docs), "")


def _folder_row(folder: str, held: list[str], facts: FindFacts) -> FolderRow:
    start = len(folder) + 1
    direct = dict.fromkeys(
        name + slash for name, slash, _ in (path[start:].partition("/") for path in held) if name not in _SPEAKERS
    )
    doc = folder_doc(folder, held, facts)
    return {"path": folder, "files": len(held), "doc": doc, "holds": list(direct)[:_MOST_HELD]}


def _file_row(path: str, facts: FileFacts | None) -> FileRow:
    if facts is None:
        return {"path": path, "lines": 0, "defines": [], "doc": ""}
    top = [item.name for item in facts.symbols if "." not in item.name and item.kind in _NAMED]
    return {"path": path, "lines": facts.lines, "defines": top[:_MOST_NAMED], "doc": _doc(facts)}


def _doc(facts: FileFacts | None) -> str:
    """Return the documentation of a file; for Markdown without front matter, its first heading; else empty."""
    symbols = facts.symbols if facts is not None else ()
    doc = next((item.doc for item in symbols if item.kind == "module"), "")
    return doc or next((item.name for item in symbols if item.kind == "heading"), "")
