"""What a merge in the repository of a workspace gives, or would give (GIT-2). Values only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from aegis_tui.domain.merge.merged_file import MergedFile


@dataclass(frozen=True, slots=True)
class FileConflict:
    """A path in which two commits change the same place."""

    path: str
    base: str | None
    """Blob id of the file in the merge base; as for `ours` and `theirs`, None when that side has no such file."""
    ours: str | None
    theirs: str | None
    hunks: int
    """How many places conflict; 0 when there is no text to compare (deleted on one side, binary)."""
    text: str
    """The conflicting hunks in git's zdiff3 form, cut to a readable length."""
    kind: Literal["hot"] = "hot"
    reason: str = ""
    """Why no way to merge it is known; empty if only lines were compared."""


@dataclass(frozen=True, slots=True)
class MergePreview:
    """The outcome that a merge would have, computed without touching any worktree."""

    clean: bool
    tree: str | None
    """The merged tree; None when it is not clean."""
    both_changed: tuple[str, ...]
    """Paths that both sides changed since their merge base, sorted; those that are not in `conflicts` are soft."""
    conflicts: tuple[FileConflict, ...]
    files: tuple[MergedFile, ...] = ()
    """The files that both sides changed in different ways, with what merges them; a path may be missing."""
    marked_tree: str | None = None
    """What git made of a merge with conflicts, with markers in the files; None if it is clean, or was not written."""

    @property
    def soft(self) -> tuple[str, ...]:
        """The paths that both sides change and that merge without conflict, sorted."""
        hot = {conflict.path for conflict in self.conflicts}
        return tuple(path for path in self.both_changed if path not in hot)


@dataclass(frozen=True, slots=True)
class ComposeResult:
    """The working ref after a piece was merged onto it."""

    oid: str
    """The commit that the working ref now points to."""
    tree: str
    already: bool
    """True when the piece had been merged before; then nothing was written."""
    files: tuple[MergedFile, ...] = ()
    """The files that both the piece and the working ref had changed, with what merged them; empty if `already`."""
