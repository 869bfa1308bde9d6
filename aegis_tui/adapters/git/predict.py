"""Predicts merges with `merge-tree`, without a worktree (GIT-2). Writes only objects."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence

from aegis_tui.adapters.git.folder import scratch_folder
from aegis_tui.adapters.git.known import KnownAnswers
from aegis_tui.adapters.git.mergiraf import Mergiraf
from aegis_tui.adapters.git.objects import Objects
from aegis_tui.adapters.git.run import GitRunner, failure
from aegis_tui.adapters.git.structural_merge import Merge, MergedCommits, StructuralMerges, with_labels
from aegis_tui.domain.path.file_name import write_name
from aegis_tui.ports.merge import FileConflict, MergePreview

_MARKER_SIZE = 7
_TEXT_LIMIT = 4000
_BINARY_PROBE = 8000
_KEPT_PATHS = 1000
"""A longer list of changed paths is not kept."""
_ATTRIBUTES = ".gitattributes"
_STAGE_LINE = re.compile(r"(?P<mode>[0-7]{6}) (?P<oid>[0-9a-f]+) (?P<stage>[123])\t(?P<path>.*)", re.DOTALL)


class Merges:
    """Merges commits, and predicts merges. Its methods raise `GitError` if git fails.

    They raise `GitUnavailable` if git cannot be started.

    Args:
        runner: Runs git in the common folder.
        objects: Reads the repository.
        driver: Merges files that are still in conflict then; None if there is none.
    """

    def __init__(self, runner: GitRunner, objects: Objects, driver: Mergiraf | None = None) -> None:
        self._runner, self._objects = runner, objects
        self._structural = StructuralMerges(runner, objects, driver)
        self._merged: KnownAnswers[Merge] = KnownAnswers(64)
        self._changes: KnownAnswers[frozenset[str]] = KnownAnswers(64)

    async def merge(self, ours: str, theirs: str) -> Merge:
        """Merge two commits into a tree, without any ref; conflicts do not raise, but make the result not clean.

        The result depends only on the two commits and the repository's settings. Conflicts within files are solved by
        structure where that is sound; a merge by lines that is not sound is a conflict (GIT-3). If one commit contains
        the other, nothing is merged: the result is its tree.

        Raises:
            GitError: A commit does not exist.
        """
        bases = await self._objects.merge_bases(ours, theirs)
        if bases and bases[0] in (ours, theirs):
            return Merge(await self._objects.tree_of(theirs if bases[0] == ours else ours), clean=True, stages={})
        merge = await self._by_lines(ours, theirs)
        if not bases:
            return merge
        mine, others = await asyncio.gather(self._changed(bases[0], ours), self._changed(bases[0], theirs))
        if len(bases) > 1:
            return with_labels(merge, mine & others, why="the two have several merge bases")
        return await self._structural.complete(merge, MergedCommits(bases[0], ours, theirs, mine, others))

    async def _by_lines(self, ours: str, theirs: str) -> Merge:
        """Return git's merge of two commits; `GitError` if one does not exist.

        Attributes come from `ours`: `merge-tree` reads them from the work tree, so it gets a temporary one with that
        file.
        """
        with scratch_folder() as folder:
            attributes = await self._objects.find_blob(f"{ours}:{_ATTRIBUTES}")
            if attributes is not None:
                (folder / _ATTRIBUTES).write_bytes(attributes)
            args = ("-c", "merge.conflictStyle=zdiff3", "merge-tree", "--write-tree", "-z", "--no-messages")
            answer = await self._runner.run(*args, ours, theirs, work_tree=folder, ok=(0, 1))
        fields = answer.fields()
        if not fields:
            raise failure(("merge-tree",), answer)
        return Merge(fields[0], answer.code == 0, read_stages(fields[1:]))

    async def predict(self, ours: str, theirs: str) -> MergePreview:
        """Return what merging two commits would give; conflicts raise nothing. Writes only objects, no ref.

        A clean merge is kept: what was predicted once for two commits is not asked again.

        Raises:
            GitError: One of the commits does not exist.
        """
        merge, bases = await asyncio.gather(self._merged_once(ours, theirs), self._objects.merge_bases(ours, theirs))
        both: frozenset[str] = frozenset()
        if bases and bases[0] not in (ours, theirs):  # else one side has changed nothing
            mine, others = await asyncio.gather(self._changed(bases[0], ours), self._changed(bases[0], theirs))
            both = mine & others
        conflicts = await self.conflicts(merge)
        return MergePreview(
            clean=merge.clean,
            tree=merge.tree if merge.clean else None,
            both_changed=tuple(sorted(both | {conflict.path for conflict in conflicts})),
            conflicts=conflicts,
            files=merge.files,
            marked_tree=None if merge.clean else merge.tree,
        )

    async def conflicts(self, merge: Merge) -> tuple[FileConflict, ...]:
        """Return the conflicts of a merge, sorted by path; the text of each is cut to 4000 characters.

        A longer text ends in a line `[cut]`. The text is empty, and the number of places 0, for a binary file and for
        one that a side has deleted. Of a conflict that only the structure shows, it says what it is. Raises `GitError`
        if git fails.
        """
        conflicts: list[FileConflict] = []
        for path, blobs in sorted(merge.stages.items()):
            hunks = await self._hunks(merge.tree, path) if 2 in blobs and 3 in blobs else []
            reason = merge.reasons.get(path, "")
            if not hunks and reason:
                hunks = [reason]
            base, ours, theirs = (blobs.get(stage) for stage in (1, 2, 3))
            text = cut_text("\n".join(hunks))
            conflicts.append(FileConflict(path, base, ours, theirs, len(hunks), text, reason=reason))
        return tuple(conflicts)

    async def _merged_once(self, ours: str, theirs: str) -> Merge:
        return await self._merged.get((ours, theirs), lambda: self.merge(ours, theirs), may_keep=_is_clean)

    async def _changed(self, base: str, tip: str) -> frozenset[str]:
        async def ask() -> frozenset[str]:
            listed = await self._runner.run("diff-tree", "-r", "-z", "--name-only", base, tip)
            return frozenset(map(write_name, listed.fields()))

        return await self._changes.get((base, tip), ask, may_keep=lambda paths: len(paths) <= _KEPT_PATHS)

    async def _hunks(self, tree: str, path: str) -> list[str]:
        content = await self._objects.find_blob(f"{tree}:{path}")
        if content is None or b"\0" in content[:_BINARY_PROBE]:
            return []
        return conflict_hunks(content.decode("utf-8", "replace"))


def _is_clean(merge: Merge) -> bool:
    return merge.clean


def conflict_hunks(text: str) -> list[str]:
    """Return the conflicting parts of a merged text, each from its first marker line to its last; may be empty.

    A part without its last marker line is left out.
    """
    hunks: list[str] = []
    current: list[str] | None = None
    for line in text.split("\n"):
        if line.startswith("<" * _MARKER_SIZE + " "):
            current = [line]
        elif current is not None:
            current.append(line)
            if line.startswith(">" * _MARKER_SIZE + " "):
                hunks.append("\n".join(current))
                current = None
    return hunks


def cut_text(text: str) -> str:
    """Return the text of conflicting hunks as it is kept: its first 4000 characters and `[cut]` if it is longer."""
    return text if len(text) <= _TEXT_LIMIT else text[:_TEXT_LIMIT] + "\n[cut]"


def read_stages(fields: Sequence[str]) -> dict[str, dict[int, str]]:
    """Return the blob ids of conflicting paths, in written form, by stage: 1 base, 2 ours, 3 theirs.

    Args:
        fields: The NUL-separated lines of `git merge-tree`; others are left out.
    """
    stages: dict[str, dict[int, str]] = {}
    for entry in fields:
        if match := _STAGE_LINE.fullmatch(entry):
            stages.setdefault(write_name(match["path"]), {})[int(match["stage"])] = match["oid"]
    return stages
