"""Compares, merges, checks and commits pieces (GIT-2, GIT-5, FLOW-7, FLOW-8). Each step can safely be repeated."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial
from itertools import combinations
from typing import Any, NamedTuple

from aegis_tui.domain import ids
from aegis_tui.domain.cause import one_line
from aegis_tui.domain.instance.model import Instance
from aegis_tui.domain.lock.fence import NO_FENCES, PieceFences
from aegis_tui.domain.merge.merged_file import MergedFile
from aegis_tui.domain.path.letter_case import case_clashes
from aegis_tui.domain.piece.events import Overlapping
from aegis_tui.domain.piece.model import Piece, PieceStatus
from aegis_tui.domain.piece.tree_entry import MAX_TARGET_BYTES, link_problem, name_problem
from aegis_tui.domain.review.finding import Finding
from aegis_tui.domain.run.commit import commit_trailers, render_message
from aegis_tui.domain.run.events import FOUNDATION
from aegis_tui.domain.run.model import Run
from aegis_tui.domain.run.result_message import result_message
from aegis_tui.errors import GitError, MergeConflict
from aegis_tui.orchestrator.fence import FenceCheck
from aegis_tui.orchestrator.overlap import files_of, foreseen_overlap, hot_overlap, makes_none, overlaps, soft_overlap
from aegis_tui.orchestrator.proposal import Proposer, tested_proposal
from aegis_tui.ports.commits import ChangedPath, contents_of
from aegis_tui.ports.merge import MergePreview
from aegis_tui.ports.repository_condition import InspectedRepository

_log = logging.getLogger(__name__)

LINK, SUBMODULE = "120000", "160000"


class ComposedPiece(NamedTuple):
    """What became of a piece that was to be merged into the working ref."""

    oid: str | None
    """The new commit of the working ref; None if it was not merged."""
    conflicts: list[Overlapping]
    """What prevents the merge; empty if it was merged."""
    files: tuple[MergedFile, ...] = ()
    """The files that both had changed, with what merged them."""


class Integrator:
    """The git operations on pieces, from submission to the commit of the result. All raise `GitError` if git fails."""

    def __init__(self, repository: InspectedRepository, proposer: Proposer | None = None) -> None:
        self._repository, self._proposer = repository, proposer

    async def prepare_run(self, run: Run) -> None:
        """Create the run's working ref at the base unless it exists. Raises `GitError`, or `Conflict` in a race."""
        ref = ids.working_ref(run.run)
        if await self._repository.resolve(ref) is None:
            await self._repository.update_ref(ref, run.facts.base_oid, None)

    async def inspect(
        self, run: Run, piece: Piece, head_oid: str, fences: PieceFences = NO_FENCES, *, refused: str = ""
    ) -> dict[str, Any]:
        """Compare a submission with the merged and open pieces; its problems are findings, git's failures `GitError`.

        Args:
            run: The run in its present state.
            piece: The submitted piece.
            head_oid: The submitted commit.
            fences: What was written under locks.
            refused: Why the commit could not be copied from the sandbox; empty if it was.

        Returns:
            The fields of `piece:mark-checked`: `files` (changed paths), `findings`, and for a usable submission
            `contents` (their blob ids), `blobs` (content ids of files that were written under locks), `blocking`
            (conflicts with merged pieces) and `overlaps` (with open pieces, or changes to the same file that merge).
        """
        if refused or not await self._repository.commit_exists(head_oid):
            reason = one_line(refused) or "there is no such commit"
            return _unusable("history", f"the submitted commit cannot be used: {reason}")
        bases = await self._repository.merge_bases(run.working_oid, head_oid)
        if not bases:
            return _unusable("history", "the submission shares no history with the integration branch")
        base = bases[0]
        try:
            changed = await self._repository.changed_paths(base, head_oid)
        except GitError as error:
            if error.code != "git.output":
                raise
            return _unusable("structure", "it changes more files than can be compared: submit less at once")
        predicted = self._repository.predict(run.working_oid, head_oid)
        preview, others = await asyncio.gather(predicted, self._against_open(run, piece, head_oid))
        changed += await self._beyond(run, bases, preview.tree, {item.path for item in changed})
        blocking, soft = await self.against_applied(run, piece, head_oid, preview)
        if self._proposer is not None and await self._proposer.may_solve(run, piece, blocking):
            blocking, soft = [], [*self._foreseen(run, blocking, is_open=False), *soft]
        clashes = await self._case_clashes(run, preview.tree or head_oid, changed)
        fence = FenceCheck(self._repository, fences)
        dropped = await fence.dropped(run.working_oid, preview.tree)
        return {
            "files": tuple(sorted(_paths(changed))),
            "contents": contents_of(changed),
            "blobs": await fence.answers(base, changed),
            "findings": (*await self._structure(changed), *clashes, *dropped),
            "overlaps": (*soft, *others),
            "blocking": tuple(blocking),
        }

    async def _beyond(
        self, run: Run, bases: Sequence[str], tree: str | None, known: Collection[str]
    ) -> list[ChangedPath]:
        """Return what a merge would change besides the paths that the piece changes since its fork.

        Empty unless the histories have several merge bases, which git then merges. `GitError` if git fails.

        Args:
            run: The run; its working ref is merged into.
            bases: The merge bases of the working ref and the piece.
            tree: The merged tree; None if the merge has conflicts: the result is empty then.
            known: The paths that the piece changes.
        """
        if len(bases) < 2 or tree is None:
            return []
        merged = await self._repository.changed_paths(run.working_oid, tree)
        return [item for item in merged if item.path not in known]

    async def beyond(self, run: Run, piece: Piece, head_oid: str) -> list[Finding]:
        """Return a finding for each file that merging an accepted piece would change although the piece does not.

        Empty unless the piece and the working ref have several merge bases. `GitError` if git fails.
        """
        bases = await self._repository.merge_bases(run.working_oid, head_oid)
        if len(bases) < 2:
            return []
        preview = await self._repository.predict(run.working_oid, head_oid)
        msg = (
            "a merge would change this file, though the piece does not: commit the work again, "
            "on top of the integration branch"
        )
        others = await self._beyond(run, bases, preview.tree, piece.files)
        return [Finding(type="history", file=item.path, msg=msg) for item in others]

    async def _case_clashes(self, run: Run, tree: str, changed: Iterable[ChangedPath]) -> list[Finding]:
        """Return a finding for each new path that differs only in case from another path of the tree.

        Empty unless git ignores case in this repository. `GitError` if git fails.

        Args:
            run: The run.
            tree: The tree after the merge.
            changed: What the piece changes; added and renamed paths are compared.
        """
        fresh = [item.path for item in changed if item.status in ("A", "R")]
        if not run.facts.ignore_case or not fresh:
            return []
        there = await self._repository.tree_paths(tree)
        return [
            Finding(type="structure", file=path, msg=f"{path} differs only in case from {other}: git ignores case here")
            for path, other in case_clashes(fresh, there)
        ]

    async def _structure(self, changed: Iterable[ChangedPath]) -> list[Finding]:
        findings: list[Finding] = []
        for item in changed:
            if item.status == "D":
                continue
            problem = name_problem(item.path)
            if item.mode == SUBMODULE:
                problem = "a submodule may not be added or moved"
            elif item.mode == LINK and not problem:
                problem = await self._link_problem(item)
            if problem:
                findings.append(Finding(type="structure", file=item.path, msg=problem))
        return findings

    async def _link_problem(self, item: ChangedPath) -> str:
        try:
            target = await self._repository.read_blob(item.blob, limit=MAX_TARGET_BYTES)
        except GitError as error:
            if error.code != "git.output":
                raise
            return f"a link whose target is longer than {MAX_TARGET_BYTES} bytes, which cannot be checked out"
        return link_problem(item.path, target.decode("utf-8", "surrogateescape"))

    async def against_applied(
        self, run: Run, piece: Piece, head_oid: str, preview: MergePreview
    ) -> tuple[list[Overlapping], list[Overlapping]]:
        """Return where a preview of a piece's merge conflicts with merged pieces, and where both change a file."""
        applied = [other for other in run.pieces.values() if other.applied_head and other.name != piece.name]
        hot = [hot_overlap(_who(applied, conflict.path), piece.name, conflict) for conflict in preview.conflicts]
        files = files_of(preview)
        soft = [
            soft_overlap(other.name, piece.name, path, files)
            for path in preview.soft
            for other in applied
            if path in other.files and other.name != FOUNDATION
        ]
        return hot, soft

    async def _against_open(self, run: Run, piece: Piece, head_oid: str) -> list[Overlapping]:
        listed: list[Overlapping] = []
        for other in run.features():
            if other.name == piece.name or other.applied_head or other.head_oid is None:
                continue
            if other.status is PieceStatus.PENDING:
                continue
            listed += await self.overlaps(other.name, other.head_oid, piece.name, head_oid)
        return self._foreseen(run, listed, is_open=True)

    def _foreseen(self, run: Run, items: Iterable[Overlapping], *, is_open: bool) -> list[Overlapping]:
        makes = makes_none if self._proposer is None else partial(self._proposer.makes, run)
        return [foreseen_overlap(item, makes, is_open=is_open) for item in items]

    async def overlaps(self, a: str, a_oid: str, b: str, b_oid: str) -> list[Overlapping]:
        """Return the conflicts (`hot`) of a merge of two heads, and the other files that both change (`soft`).

        Nothing is merged. `GitError` if git fails.

        Args:
            a: The name of the piece with the head `a_oid`, for the result.
            a_oid: The commit to merge into.
            b: The name of the piece with the head `b_oid`.
            b_oid: The commit to be merged.
        """
        return overlaps(a, b, await self._repository.predict(a_oid, b_oid))

    async def predict_commits(self, run: Run, heads: Mapping[str, str]) -> list[Overlapping]:
        """Return the result of `overlaps` for each two of the branch heads, joined; `GitError` if git fails.

        Args:
            run: The run; its settings decide which lockfiles are made again.
            heads: Piece name -> commit.
        """
        listed: list[Overlapping] = []
        for a, b in combinations(sorted(heads), 2):
            listed += await self.overlaps(a, heads[a], b, heads[b])
        return self._foreseen(run, listed, is_open=True)

    async def branch_heads(self, run: Run) -> dict[str, str]:
        """Return piece name -> head of its branch, for the pieces that are being built, submitted or reviewed.

        Left out are those that are merged, or still at their base or the working ref. `GitError` if git fails.
        """
        refs = await self._repository.list_refs(f"refs/heads/aegis/{run.run}")
        stands = {ref.name.rsplit("/", 1)[-1]: ref.oid for ref in refs}
        heads = {}
        for piece in run.features():
            oid = stands.get(ids.instance_id(piece.agent_id or ""))
            working = piece.status in (PieceStatus.WORKING, PieceStatus.SUBMITTED, PieceStatus.REVIEWING)
            if oid and working and oid not in (piece.base_oid, run.working_oid) and not piece.applied_head:
                heads[piece.name] = oid
        return heads

    async def stale(self, run: Run, head_oid: str, fences: PieceFences) -> list[Finding]:
        """Return findings for files in which a merge would now remove lines merged under a newer token (LOCK-3).

        Empty if `fences.overtaken` names no file, or if the merge has conflicts that stand. `GitError` if git fails.
        """
        if not fences.overtaken:
            return []
        preview = await self._repository.predict(run.working_oid, head_oid)
        proposal = tested_proposal(run, head_oid)
        tree = preview.tree or (proposal.tree if proposal else None)
        return await FenceCheck(self._repository, fences).dropped(run.working_oid, tree)

    async def compose(self, run: Run, piece: Piece, head_oid: str) -> ComposedPiece:
        """Merge an accepted piece into the working ref; a ref that was moved is reset first to what the log records.

        Raises:
            Conflict: The working ref was moved meanwhile.
            Refused: git knows no name or no email address of the person.
            GitError: git fails.
        """
        message = render_message(f"merge {piece.name}", "", commit_trailers(run.run, piece.agents))
        await self._put_back(run)
        try:
            result = await self._repository.compose(
                ids.working_ref(run.run),
                head_oid,
                expect_oid=run.working_oid,
                message=message,
                at=run.facts.started_unix,
            )
        except MergeConflict:
            if self._proposer is not None and (done := await self._proposer.merge(run, head_oid, message)):
                return ComposedPiece(done[0], [], done[1].files)
            preview = await self._repository.predict(run.working_oid, head_oid)
            return ComposedPiece(None, (await self.against_applied(run, piece, head_oid, preview))[0])
        if self._proposer is not None and not result.already:
            await self._proposer.learn(run, piece, head_oid)
        return ComposedPiece(result.oid, [], result.files)

    async def _put_back(self, run: Run) -> None:
        """Reset the working ref to the commit that the log records, if it was moved; log a warning then.

        git lets an agent that skips its hooks move it. A merge that was interrupted before it was logged is repeated
        and gives the same commit. `Conflict` if the ref is moved just then; `GitError` if git fails.
        """
        ref = ids.working_ref(run.run)
        stands = await self._repository.resolve(ref)
        if stands != run.working_oid:
            _log.warning("the working ref was moved", extra={"ref": ref, "from": run.working_oid, "to": stands})
            await self._repository.update_ref(ref, run.working_oid, stands)

    async def check_composition(self, run: Run, oid: str) -> dict[str, Any]:
        """Return the `files` changed since the base, and `findings` for pieces that the commit does not contain.

        Both are tuples, fields of the command that records this check. `GitError` if git fails.

        Args:
            run: The run with its pieces.
            oid: The commit with all pieces merged.
        """
        findings = [
            Finding(type="composition", msg=f"{piece.name} is missing from the merged tree")
            for piece in run.kept_pieces()
            if not piece.applied_head or not await self._repository.is_ancestor(piece.applied_head, oid)
        ]
        changed = await self._repository.changed_paths(run.facts.base_oid, oid)
        return {"files": tuple(sorted(_paths(changed))), "findings": tuple(findings)}

    async def commit(self, run: Run, instances: Iterable[Instance]) -> dict[str, Any]:
        """Create the run's one commit: its parent is the base, its tree the one that QA ran on.

        Args:
            run: The run, at its end.
            instances: Its instances; those that built a piece are named in the commit's trailers.

        Returns:
            The fields of `run:mark-committed`: `oid`, `branch`, `subject`, `tree`, `files` (a count) and `trailers`.

        Raises:
            MergeConflict: QA has not run.
            Conflict: The result branch exists and points to another commit.
            Refused: git does not know the person's name or email address.
            GitError: git fails.
        """
        if run.qa is None:
            raise MergeConflict("QA has not run", "aegis-tui qa")
        made = result_message(run, instances)
        message = run.qa.message or made.render()
        branch = ids.result_branch(run.run)
        oid = await self._repository.squash(
            tree=run.qa.tree,
            parent=run.facts.base_oid,
            branch=branch,
            message=message,
            at=run.qa.finished_unix or int(time.time()),
        )
        changed = await self._repository.changed_paths(run.facts.base_oid, oid)
        return {
            "oid": oid,
            "branch": branch,
            "subject": message.partition("\n")[0],
            "tree": run.qa.tree,
            "files": len(changed),
            "trailers": made.trailers,
        }

    async def put_away(self, run: Run) -> None:
        """Keep the heads of the run under refs/aegis/runs and delete its branches (contract 1).

        The result branch of a commit stays. The person's git configuration is restored, unless a worktree of ours still
        needs ours. It can be repeated. What was done before an error stays done: `GitError` if git fails, `OSError` if
        its configuration cannot be read or written, `Conflict` if a branch was moved meanwhile or another program is
        writing the configuration.
        """
        result = f"refs/heads/{ids.result_branch(run.run)}"
        for piece in run.pieces.values():
            if piece.head_oid and await self._repository.commit_exists(piece.head_oid):
                await self._repository.keep(run.run, piece.name, piece.head_oid)
        if await self._repository.commit_exists(run.working_oid):
            await self._repository.keep(run.run, "integration", run.working_oid)
        for ref in await self._repository.list_refs(f"refs/heads/aegis/{run.run}"):
            if ref.name == result and run.commit:
                continue
            name = ref.name.rsplit("/", 1)[-1]
            if ref.oid != run.facts.base_oid and name != "integration":
                await self._repository.keep(run.run, name, ref.oid)
            await self._repository.delete_ref(ref.name, ref.oid)
        await self._repository.restore_config()


def _unusable(kind: str, reason: str) -> dict[str, Any]:
    return {"files": (), "findings": (Finding(type=kind, msg=reason),)}


def _paths(changed: Iterable[ChangedPath]) -> set[str]:
    return {path for item in changed for path in (item.path, item.old_path) if path}


def _who(applied: Iterable[Piece], path: str) -> str:
    return ([piece.name for piece in applied if path in piece.files] or ["integration"])[-1]
