"""Proposes how a piece is merged although it conflicts: as the same conflict was resolved before (GIT-3).

A proposal is a tree in the object store. It is merged only if the piece's own checks ran on exactly this tree and were
all passed; else the conflict stands. Nothing is staged, and no worktree changes.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from aegis_tui.domain import ids
from aegis_tui.domain.merge.merged_file import MergedFile, with_file_trailers
from aegis_tui.domain.piece.events import Overlapping
from aegis_tui.domain.piece.model import CheckedTree, Piece, PieceConflict
from aegis_tui.domain.qa.check import QaCheck, why
from aegis_tui.domain.run.events import FOUNDATION
from aegis_tui.domain.run.model import Run
from aegis_tui.domain.scope.lockfile import lockfile_of
from aegis_tui.errors import GitError
from aegis_tui.ports.composition import Composing
from aegis_tui.ports.merge import FileConflict, MergePreview
from aegis_tui.ports.repository import Repository
from aegis_tui.ports.resolutions import ConflictVersions, Resolutions

_log = logging.getLogger(__name__)

_MAX_FILE_BYTES = 1 << 20
_MOST_CONFLICTS = 50
"""A piece with more of them is not worth a proposal."""
_MOST_SEEN = 200
_AS_BEFORE = "resolved as the same conflict was before"


class Proposal(NamedTuple):
    """A tree without conflicts, and how the files that both sides changed were merged in it."""

    tree: str
    files: tuple[MergedFile, ...]


class _Ids(NamedTuple):
    """A conflict by the ids of the blobs, which is how git and the log know it."""

    path: str
    base: str
    ours: str
    theirs: str


class Proposer:
    """Makes proposals, and records how the agents or the person resolve conflicts.

    The methods raise `AegisError` if git fails.

    Args:
        repository: Where the pieces are.
        composing: Writes trees and commits.
        resolutions: The record.
    """

    def __init__(self, *, repository: Repository, composing: Composing, resolutions: Resolutions) -> None:
        self._repository, self._composing, self._resolutions = repository, composing, resolutions
        self._seen: defaultdict[tuple[str, str], dict[str, _Ids]] = defaultdict(dict)

    async def may_solve(self, run: Run, piece: Piece, conflicts: Sequence[Overlapping]) -> bool:
        """Return whether there may be a proposal for a piece with these conflicts; only `propose` knows.

        There is none unless the piece's own checks run before it is merged.
        """
        self._note(run, piece, conflicts)
        if not run.tests_pieces or piece.name == FOUNDATION or not 0 < len(conflicts) <= _MOST_CONFLICTS:
            return False
        for conflict in {item.path: item for item in conflicts}.values():
            if await self._replayed(conflict) is None:
                return False
        return True

    async def propose(self, run: Run, piece: Piece, preview: MergePreview) -> Proposal | None:
        """Return how a merge with conflicts could be done; None if one of its conflicts stands.

        Args:
            run: The run in its present state.
            piece: The piece that is merged.
            preview: What merging it gives.
        """
        tree, conflicts = preview.marked_tree, preview.conflicts
        if tree is None or not run.tests_pieces or not 0 < len(conflicts) <= _MOST_CONFLICTS:
            return None
        contents: dict[str, bytes] = {}
        made: dict[str, MergedFile] = {}
        for conflict in conflicts:
            content = await self._replayed(conflict)
            if content is None:
                return None
            contents[conflict.path] = content
            made[conflict.path] = MergedFile(path=conflict.path, label="unproven", strategy="rerere", reason=_AS_BEFORE)
        others = [file for file in preview.files if file.path not in made]
        files = sorted((*others, *made.values()), key=lambda file: file.path)
        return Proposal(await self._composing.with_files(tree, contents), tuple(files))

    async def merge(self, run: Run, head_oid: str, message: str) -> tuple[str, Proposal] | None:
        """Merge a piece as its proposal was tested, and return the new commit of the working ref and the proposal.

        None if no proposal was tested on the present working ref.

        Args:
            run: The run in its present state.
            head_oid: The commit of the accepted piece.
            message: The message of the merge commit.

        Raises:
            Conflict: The working ref was moved meanwhile.
            AegisError: git fails.
        """
        tested = tested_proposal(run, head_oid)
        if tested is None:
            return None
        message = with_file_trailers(message, tested.proposed)
        parents = (run.working_oid, head_oid)
        oid = await self._composing.commit(tested.tree, parents, message=message, at=run.facts.started_unix)
        await self._repository.update_ref(ids.working_ref(run.run), oid, run.working_oid)
        return oid, Proposal(tested.tree, tested.proposed)

    async def learn(self, run: Run, piece: Piece, head_oid: str) -> None:
        """Record how the conflicts were resolved for which a piece had been sent back, once it is merged.

        Only a resolution that was made on the very content with which the piece conflicted is one. Failures of git are
        logged: nothing depends on the record.

        Args:
            run: The run as it was before the piece was merged.
            piece: The piece.
            head_oid: Its merged commit.
        """
        known = self._seen.pop((run.run, piece.name), {})
        if not piece.rejections:
            return
        try:
            bases = await self._repository.merge_bases(run.working_oid, head_oid)
            for conflict in [*_hot(run, piece), *known.values()] if len(bases) == 1 else []:
                await self._learn_one(conflict, bases[0], head_oid)
        except GitError as error:
            _log.warning("a resolution was not recorded", extra={"reason": error.message})

    async def _learn_one(self, conflict: _Ids, base_oid: str, head_oid: str) -> None:
        versions = await self._versions(conflict)
        if versions is None:
            return
        built_on = await self._content(f"{base_oid}:{conflict.path}")
        resolved = await self._content(f"{head_oid}:{conflict.path}")
        if resolved is not None and built_on is not None and built_on in (versions.ours, versions.theirs):
            await self._resolutions.record(versions, resolved)

    def _note(self, run: Run, piece: Piece, conflicts: Iterable[Overlapping]) -> None:
        """Remember the versions of a conflict: the log may say of later ones before it is resolved."""
        if len(self._seen) > _MOST_SEEN:
            self._seen.clear()
        for conflict in conflicts:
            if (known := _ids(conflict)) is not None:
                self._seen[run.run, piece.name][conflict.path] = known

    async def _replayed(self, conflict: Overlapping | FileConflict) -> bytes | None:
        known = _ids(conflict)
        versions = await self._versions(known) if known is not None else None
        return await self._resolutions.replay(versions) if versions is not None else None

    async def _versions(self, conflict: _Ids) -> ConflictVersions | None:
        oids = conflict.base, conflict.ours, conflict.theirs
        blobs = await self._repository.read_blobs(oids, limit=_MAX_FILE_BYTES, total=len(oids) * _MAX_FILE_BYTES)
        contents = [blob.content for oid in oids if (blob := blobs.get(oid)) is not None and blob.content is not None]
        return ConflictVersions(*contents) if len(contents) == len(oids) else None

    async def _content(self, name: str) -> bytes | None:
        try:
            return await self._repository.read_blob(name, limit=_MAX_FILE_BYTES)
        except GitError:
            return None


def _ids(conflict: Overlapping | FileConflict | PieceConflict) -> _Ids | None:
    """Return the versions of a conflict in lines; None if a side has no file, or if it is a lockfile."""
    if conflict.base is None or conflict.ours is None or conflict.theirs is None or lockfile_of(conflict.path):
        return None
    return _Ids(conflict.path, conflict.base, conflict.ours, conflict.theirs)


def _hot(run: Run, piece: Piece) -> list[_Ids]:
    """Return the conflicts of a piece with others that the log knows."""
    listed = [item for item in run.conflicts.values() if item.kind == "hot" and piece.name in (item.a, item.b)]
    return [known for item in listed if (known := _ids(item)) is not None]


def tested_proposal(run: Run, head_oid: str) -> CheckedTree | None:
    """Return the proposal for a commit that passed its checks on the present working ref; None if there is none."""
    place = head_oid, run.working_oid
    tested = [piece.tested for piece in run.pieces.values() if piece.tested is not None]
    green = [item for item in tested if item.proposed and item.is_green]
    return next((item for item in green if (item.head_oid, item.onto_oid) == place), None)


def is_green(checks: Sequence[QaCheck]) -> bool:
    """Return whether checks allow a proposal: at least one ran, and all were passed."""
    return all(check.ok for check in checks) and any(check.status == "passed" for check in checks)


def refuted(overlaps: Iterable[Overlapping], checks: Sequence[QaCheck]) -> tuple[Overlapping, ...]:
    """Return conflicts with the reason that a proposal for them did not pass the checks."""
    failing = next((f"{check.command}: {why(check)}" for check in checks if not check.ok), "no check ran")
    reason = f"resolving it as before was tried, and the checks did not pass: {failing}"[:500]
    return tuple(item.model_copy(update={"reason": reason}) for item in overlaps)
