"""The check of a submission: take it in from its sandbox, compare it with the other pieces, apply the merge rules."""

from __future__ import annotations

from aegis_tui.domain.instance.model import Instance
from aegis_tui.domain.lock.fence import PieceFences
from aegis_tui.domain.piece.commands import PieceMarkChecked
from aegis_tui.domain.piece.model import Piece
from aegis_tui.domain.run.model import Run
from aegis_tui.domain.scope.partition import PartitionTable
from aegis_tui.domain.scope.reservation import standing_table
from aegis_tui.domain.workspace import Workspace
from aegis_tui.orchestrator.instances import InstanceKeeper
from aegis_tui.orchestrator.integrate import Integrator
from aegis_tui.orchestrator.rule_check import RuleCheck


class Inspection:
    """Checks submissions.

    Args:
        keeper: Copies commits out of sandboxes.
        integrator: Compares pieces.
        rules: Applies the merge rules.
    """

    def __init__(self, keeper: InstanceKeeper, integrator: Integrator, rules: RuleCheck) -> None:
        self._keeper, self._integrator, self._rules = keeper, integrator, rules

    async def inspect(
        self, run: Run, piece: Piece, head_oid: str, fences: PieceFences, *, author: Instance | None
    ) -> PieceMarkChecked:
        """Return what the check of a submission found; repeating it gives the same. `GitError` if git fails.

        Args:
            run: The run in its present state.
            piece: The submitted piece.
            head_oid: The submitted commit.
            fences: What was written under locks.
            author: Who submitted it; None if that is not known any more.
        """
        refused = await self._keeper.take_in(author, head_oid) if author else ""
        checked = await self._integrator.inspect(run, piece, head_oid, fences, refused=refused)
        if checked["files"]:
            seen = await self._rules.check(base=run.facts.base_oid, into=run.working_oid, head=head_oid)
            checked |= {"broken": seen.findings, "scanner": seen.scanner}
            if self._rules.names is not None:
                names = await self._rules.names.check(base=run.facts.base_oid, into=run.working_oid, head=head_oid)
                checked["broken"] = (*seen.findings, *names.findings)
                checked |= {"names_used": names.used, "names_unknown": names.unknown}
        return PieceMarkChecked(run=run.run, piece=piece.name, head_oid=head_oid, **checked)


def run_and_partitions(workspace: Workspace, name: str) -> tuple[Run, PartitionTable]:
    """Return a copy of a run, and what its pieces may write as of now; KeyError if there is no such run."""
    run = workspace.runs.by_id[name]
    return run.model_copy(deep=True), standing_table(workspace, run)
