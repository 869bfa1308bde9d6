"""The paths that two pieces change, from what their merge would give (GIT-2)."""

from __future__ import annotations

from collections.abc import Mapping

from aegis_tui.domain.merge.merged_file import MergedFile
from aegis_tui.domain.piece.events import Overlapping
from aegis_tui.ports.merge import FileConflict, MergePreview


def hot_overlap(a: str, b: str, conflict: FileConflict) -> Overlapping:
    """Return the overlap of two pieces in a path that cannot be merged."""
    return Overlapping(
        a=a,
        b=b,
        path=conflict.path,
        kind="hot",
        base=conflict.base,
        ours=conflict.ours,
        theirs=conflict.theirs,
        hunks=conflict.hunks,
        text=conflict.text,
        label="refused",
        reason=conflict.reason,
    )


def soft_overlap(a: str, b: str, path: str, files: Mapping[str, MergedFile]) -> Overlapping:
    """Return the overlap of two pieces in a path that merges, with what merges it if that is known.

    Args:
        a: The name of a piece.
        b: That of another.
        path: The path that both change.
        files: The result of `files_of` for their merge.
    """
    file = files.get(path)
    if file is None:
        return Overlapping(a=a, b=b, path=path, kind="soft")
    return Overlapping(a=a, b=b, path=path, kind="soft", label=file.label, strategy=file.strategy, reason=file.reason)


def files_of(preview: MergePreview) -> dict[str, MergedFile]:
    """Return path -> what is known about the merge of a file that both sides change."""
    return {file.path: file for file in preview.files}


def overlaps(a: str, b: str, preview: MergePreview) -> list[Overlapping]:
    """Return the conflicts of a merge of two pieces, and then the other paths that both change.

    Args:
        a: The name of the piece that is merged into.
        b: That of the other piece.
        preview: What their merge would give.
    """
    files = files_of(preview)
    soft = [soft_overlap(a, b, path, files) for path in preview.soft]
    return [*(hot_overlap(a, b, conflict) for conflict in preview.conflicts), *soft]
