"""The paths that two pieces change, from what their merge would give (GIT-2)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from aegis_tui.domain.merge.generated import BY_MANAGER, foreseen, is_generating
from aegis_tui.domain.merge.label import Strategy
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


def makes_none(path: str) -> bool:
    """Return False: nothing makes the lockfile at a path again."""
    return False


def foreseen_overlap(item: Overlapping, makes: Callable[[str], bool], *, is_open: bool) -> Overlapping:
    """Return an overlap as it will be dealt with: a file that will be regenerated is no conflict (GIT-2).

    It is `soft` then, with a reason that says so. Others stay as they are.

    Args:
        item: The overlap.
        makes: Whether merging a piece makes the lockfile at a path again.
        is_open: Whether both pieces are still worked on. A generated file is then made again by the worker of the piece
            that is merged second; once the first is merged, it is a conflict until that is done.
    """
    strategy: Strategy
    if item.kind == "soft" or item.ours is None or item.theirs is None:
        return item
    if makes(item.path):
        strategy, reason = "manager", BY_MANAGER
    elif is_open and is_generating(item.reason):
        strategy, reason = "agent", foreseen(item.reason)
    else:
        return item
    return Overlapping(
        a=item.a, b=item.b, path=item.path, kind="soft", label="unproven", strategy=strategy, reason=reason
    )


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
