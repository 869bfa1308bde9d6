"""What a folder of the code map holds: its folders, and its files with what they define (MAP-4)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from aegis_tui.domain.code_map.facts import FileFacts
from aegis_tui.domain.wire.code_map import FileRow, FolderRow
from aegis_tui.errors import UsageError

_MOST_NAMED: Final = 50
_NAMED: Final = ("class", "function")


def folder_rows(
    folder: str, paths: Iterable[str], facts: Callable[[str], FileFacts | None]
) -> tuple[list[FolderRow], list[FileRow]]:
    """Return the folders in a folder, with the number of files below each, and its files with what they define.

    Args:
        folder: Its path in the repository, without a slash at the end; empty for the whole repository.
        paths: All files of the map.
        facts: Returns the facts of a file; None if it has none.

    Raises:
        UsageError: The map has no file in such a folder.
    """
    prefix = f"{folder}/" if folder else ""
    inside = [path for path in paths if path.startswith(prefix)]
    if not inside:
        raise UsageError(f"{folder} is not in the map", "aegis-tui map show . lists the files and folders in it")
    folders: dict[str, int] = {}
    files: list[FileRow] = []
    for path in sorted(inside):
        name, slash, _ = path[len(prefix) :].partition("/")
        if slash:
            folders[prefix + name] = folders.get(prefix + name, 0) + 1
        else:
            files.append(_file_row(path, facts(path)))
    return [{"path": name, "files": count} for name, count in folders.items()], files


def _file_row(path: str, facts: FileFacts | None) -> FileRow:
    if facts is None:
        return {"path": path, "lines": 0, "defines": [], "doc": ""}
    top = [item.name for item in facts.symbols if "." not in item.name and item.kind in _NAMED]
    doc = next((item.doc for item in facts.symbols if item.kind in ("module", "heading")), "")
    return {"path": path, "lines": facts.lines, "defines": top[:_MOST_NAMED], "doc": doc}
