"""Suggests partitions for the worktree of a code map (PART-4)."""

from __future__ import annotations

from collections.abc import Sequence

from aegis_tui.application.code_map import CodeMap
from aegis_tui.domain.code_map.language import TEXT, language_of
from aegis_tui.domain.code_map.modules import ModuleIndex
from aegis_tui.domain.partition.model import ChangeHistory, ProjectFile
from aegis_tui.domain.partition.suggest import suggest_parts
from aegis_tui.domain.wire.code_map import OutsideRow, PartitionOutput, PartRow
from aegis_tui.ports.code_map import FileLinks


def suggest_partition(
    code_map: CodeMap, history: ChangeHistory, parts: int, *, ignore_case: bool = False
) -> PartitionOutput:
    """Return a suggestion for the files of a map that was refreshed; blocking.

    Args:
        code_map: The map.
        history: What was changed together.
        parts: How many parts are wanted, at least 1.
        ignore_case: Whether the repository compares paths without case.

    Raises:
        StoreError: The map cannot be read.
        OSError: The worktree is gone.
    """
    suggestion = suggest_parts(project_files(list(code_map.links())), history, parts, ignore_case=ignore_case)
    rows: list[PartRow] = [
        {
            "name": part.name,
            "globs": list(part.globs),
            "files": part.files,
            "lines": part.lines,
            "reason": part.reason,
        }
        for part in suggestion.parts
    ]
    outside: list[OutsideRow] = [
        {"glob": item.glob, "where": item.where, "files": item.files, "reason": item.reason}
        for item in suggestion.outside
    ]
    late = () if history.is_whole else ("the history was not read: git took too long",)
    return {
        **code_map.about([]),
        "parts": rows,
        "outside": outside,
        "imports": suggestion.imports,
        "cut": suggestion.cut,
        "notes": [*suggestion.notes, *late],
    }


def project_files(links: Sequence[FileLinks]) -> list[ProjectFile]:
    """Return all files of a map as suggestions are made from them.

    Args:
        links: All files of the map with their imports.
    """
    modules = ModuleIndex([item.path for item in links])
    return [
        ProjectFile(
            item.path,
            item.lines,
            language_of(item.path) not in (TEXT, "markdown"),
            tuple(sorted(modules.imported_files(item.path, item.imports))),
        )
        for item in links
    ]
