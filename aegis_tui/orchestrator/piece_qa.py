"""Runs the checks of one submission on its tree merged with the working ref, before it is merged (FLOW-7, FLOW-10).

The merge is made in the object store alone: no worktree and no ref changes. Verdicts are kept by tree, command and
environment (`Quality`), so that a tree that is known is not tested again, also not by QA of the whole.
"""

from __future__ import annotations

from aegis_tui.domain.piece.commands import PieceMarkTested
from aegis_tui.domain.piece.model import Piece
from aegis_tui.domain.piece.own_checks import is_objection
from aegis_tui.domain.run.commit import commit_trailers, render_message
from aegis_tui.domain.run.model import Run
from aegis_tui.domain.run.piece_report import submission_name
from aegis_tui.domain.scope.partition import PartitionTable
from aegis_tui.orchestrator.integrate import Integrator
from aegis_tui.orchestrator.proposal import Proposal, Proposer, is_green, refuted, unsolved
from aegis_tui.orchestrator.qa import Quality
from aegis_tui.ports.composition import Composing
from aegis_tui.ports.repository import Repository


class PieceQa:
    """Tests submissions one by one.

    Args:
        repository: Where the submissions are.
        composing: Writes the merge commits.
        integrator: Says with which merged pieces a submission conflicts.
        quality: Runs QA.
        proposer: Proposes how submissions with conflicts are merged; by default, their conflicts stand.
    """

    def __init__(
        self,
        *,
        repository: Repository,
        composing: Composing,
        integrator: Integrator,
        quality: Quality,
        proposer: Proposer | None = None,
    ) -> None:
        self._repository, self._composing, self._quality = repository, composing, quality
        self._integrator, self._proposer = integrator, proposer

    async def test(self, run: Run, piece: Piece, head_oid: str, *, onto: str, table: PartitionTable) -> PieceMarkTested:
        """Return what the checks gave, or the conflicts if the submission cannot be merged.

        Earlier submissions of the piece are kept in refs, `<piece>.<commit>`. Raises `AegisError` if git or the sandbox
        fails, `OSError` if results cannot be saved.

        Args:
            run: The run in its present state.
            piece: The submitted piece.
            head_oid: The submitted commit.
            onto: The working ref's commit.
            table: The present partitions, to find out whose files fail.
        """
        for earlier in {trace.head_oid for trace in piece.traces} - {None, head_oid}:
            await self._repository.keep(run.run, submission_name(piece.name, str(earlier)), str(earlier))
        place = {"run": run.run, "piece": piece.name, "head_oid": head_oid, "onto_oid": onto}
        preview = await self._repository.predict(onto, head_oid)
        proposal = Proposal(preview.tree, ()) if preview.tree else None
        blocking, _ = await self._integrator.against_applied(run, piece, head_oid, preview)
        if proposal is None and self._proposer is not None:
            proposal = await self._proposer.propose(run, preview, onto=onto, head_oid=head_oid)
        if proposal is None or not proposal.tree:
            return PieceMarkTested(**place, overlaps=unsolved(blocking, proposal.problems if proposal else {}))
        message = render_message(f"merge {piece.name}", "", commit_trailers(run.run, piece.agents))
        oid = await self._composing.commit(proposal.tree, (onto, head_oid), message=message, at=run.facts.started_unix)
        name = f"piece-{piece.name}-{oid[:12]}"
        checks, blamed = await self._quality.test(run, oid, onto=onto, table=table, name=name, objects=is_objection)
        if proposal.files and not is_green(checks):
            return PieceMarkTested(**place, overlaps=refuted(blocking, checks))
        return PieceMarkTested(**place, tree=proposal.tree, checks=checks, blamed=blamed, proposed=proposal.files)
