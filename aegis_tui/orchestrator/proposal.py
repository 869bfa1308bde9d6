"""Proposes how a piece is merged although it conflicts (GIT-3).

The same conflict is resolved as before, and lockfiles are made again by their package managers.

A proposal is a tree in the object store. It is merged only if the piece's own checks ran on exactly this tree and were
all passed; else the conflict stands. Nothing is staged, and no worktree changes.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple

from aegis_tui.domain import ids
from aegis_tui.domain.merge.generated import is_generating
from aegis_tui.domain.merge.label import Strategy
from aegis_tui.domain.merge.lock_seed import lock_seed
from aegis_tui.domain.merge.merged_file import MergedFile, with_file_trailers
from aegis_tui.domain.piece.events import Overlapping
from aegis_tui.domain.piece.model import CheckedTree, Piece, PieceConflict
from aegis_tui.domain.qa.check import QaCheck, why
from aegis_tui.domain.run.events import FOUNDATION
from aegis_tui.domain.run.model import Run
from aegis_tui.domain.scope.lockfile import lockfile_of
from aegis_tui.errors import GitError
from aegis_tui.orchestrator.lockfile_maker import MAX_BYTES, LockfileMaker, MadeLockfile
from aegis_tui.ports.composition import Composing
from aegis_tui.ports.merge import FileConflict, MergePreview
from aegis_tui.ports.repository import Repository
from aegis_tui.ports.resolutions import ConflictVersions, Resolutions

_log = logging.getLogger(__name__)

_MAX_FILE_BYTES = 1 << 20
_MOST_CONFLICTS = 50
"""A piece with more of them is not worth a proposal."""
_MOST_SEEN = 200
_AS_BEFORE: Final[tuple[Strategy, str]] = "rerere", "resolved as the same conflict was before"
_AS_MANAGER: Final[tuple[Strategy, str]] = "manager", "made again by its package manager"
_SCRATCH_MESSAGE: Final = "merged, before lockfiles are made again\n"


class Proposal(NamedTuple):
    """A tree without conflicts, and how the files that both sides changed were merged in it."""

    tree: str
    """Empty if it could not be made."""
    files: tuple[MergedFile, ...]
    problems: Mapping[str, str] = MappingProxyType({})
    """Path -> why it could not be made."""


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
        lockfiles: Makes lockfiles again; by default, conflicts in them stand.
    """

    def __init__(
        self,
        *,
        repository: Repository,
        composing: Composing,
        resolutions: Resolutions,
        lockfiles: LockfileMaker | None = None,
    ) -> None:
        self._repository, self._composing, self._resolutions = repository, composing, resolutions
        self._lockfiles = lockfiles
        self._seen: defaultdict[tuple[str, str], dict[str, _Ids]] = defaultdict(dict)

    async def may_solve(self, run: Run, piece: Piece, conflicts: Sequence[Overlapping]) -> bool:
        """Return whether there may be a proposal for a piece with these conflicts; only `propose` knows.

        There is none unless the piece's own checks run before it is merged.
        """
        self._note(run, piece, conflicts)
        if not run.tests_pieces or piece.name == FOUNDATION or not 0 < len(conflicts) <= _MOST_CONFLICTS:
            return False
        for conflict in {item.path: item for item in conflicts}.values():
            if not self._is_lockfile(conflict) and await self._replayed(conflict) is None:
                return False
        return True

    async def propose(self, run: Run, preview: MergePreview, *, onto: str, head_oid: str) -> Proposal | None:
        """Return how a merge with conflicts could be done; None if one stands, without a tree if that was tried.

        Args:
            run: The run in its present state.
            preview: What merging the two commits gives.
            onto: The working ref's commit.
            head_oid: The commit that is merged with it.

        Raises:
            AegisError: git or the sandbox fails.
            OSError: A lockfile's package manager cannot be started, or its worktree not be written.
        """
        tree, conflicts = preview.marked_tree, preview.conflicts
        if tree is None or not run.tests_pieces or not 0 < len(conflicts) <= _MOST_CONFLICTS:
            return None
        contents: dict[str, bytes] = {}
        locks: dict[str, tuple[str, str]] = {}
        made: dict[str, MergedFile] = {}
        for conflict in conflicts:
            path = conflict.path
            if self._is_lockfile(conflict):
                sides = await self._sides(conflict)
                content = _seed(path, sides) if sides is not None else None
                strategy, reason = _AS_MANAGER
            else:
                sides, content = None, await self._replayed(conflict)
                strategy, reason = _AS_BEFORE
            if content is None:
                return None
            locks |= {path: sides} if sides is not None else {}
            contents[path] = content
            made[path] = MergedFile(path=path, label="unproven", strategy=strategy, reason=reason)
        tree = await self._composing.with_files(tree, contents)
        if locks:
            made_files = await self._make(run, tree, (onto, head_oid), locks)
            if problems := {path: file.problem for path, file in made_files.items() if file.problem}:
                return Proposal("", (), problems)
            tree = await self._composing.with_files(tree, {path: file.content for path, file in made_files.items()})
        others = [file for file in preview.files if file.path not in made]
        return Proposal(tree, tuple(sorted((*others, *made.values()), key=lambda file: file.path)))

    async def _make(
        self, run: Run, tree: str, parents: tuple[str, str], locks: Mapping[str, tuple[str, str]]
    ) -> dict[str, MadeLockfile]:
        """Return the lockfiles of a merged tree as their package managers make them, up to the first that fails."""
        made: dict[str, MadeLockfile] = {}
        oid = await self._composing.commit(tree, parents, message=_SCRATCH_MESSAGE, at=run.facts.started_unix)
        for path, sides in locks.items():
            if self._lockfiles is None:
                break
            made[path] = await self._lockfiles.make(run, oid, path, sides)
            if made[path].problem:
                break
        return made

    def _is_lockfile(self, conflict: Overlapping | FileConflict) -> bool:
        there = conflict.ours is not None and conflict.theirs is not None
        return there and self._lockfiles is not None and self._lockfiles.can_make(conflict.path)

    async def _sides(self, conflict: Overlapping | FileConflict) -> tuple[str, str] | None:
        """Return our and their text of a file; None if one is too large or no text."""
        oids = [oid for oid in (conflict.ours, conflict.theirs) if oid is not None]
        blobs = await self._repository.read_blobs(oids, limit=MAX_BYTES, total=2 * MAX_BYTES)
        try:
            ours, theirs = ((blobs[oid].content or b"").decode() for oid in oids)
        except (KeyError, ValueError):
            return None
        return ours, theirs

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
    """Return the versions of a conflict in lines; None if a side has no file, or if a program generates it."""
    if conflict.base is None or conflict.ours is None or conflict.theirs is None or lockfile_of(conflict.path):
        return None
    if is_generating(conflict.reason):
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
    reason = f"a merge was tried, and the checks did not pass: {failing}"
    return tuple(_because(item, reason) for item in overlaps)


def unsolved(overlaps: Iterable[Overlapping], problems: Mapping[str, str]) -> tuple[Overlapping, ...]:
    """Return conflicts with the reasons for which there is no proposal."""
    return tuple(_because(item, problems[item.path]) if item.path in problems else item for item in overlaps)


def _because(overlap: Overlapping, reason: str) -> Overlapping:
    words = f"{overlap.reason}; {reason}" if overlap.reason else reason
    return overlap.model_copy(update={"reason": words[:500]})


def _seed(path: str, sides: tuple[str, str]) -> bytes | None:
    try:
        return lock_seed(path, *sides).encode()
    except ValueError:
        return None
