"""Leaving pieces out of the result of a run, with all that builds on them (FLOW-7, FLOW-10)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from aegis_tui.domain.composition.events import CulpritsSought, PieceLeftOut
from aegis_tui.domain.composition.order import dependants
from aegis_tui.domain.ids import HUB
from aegis_tui.domain.instance.events import InstanceStopping
from aegis_tui.domain.instance.rules import spec_path
from aegis_tui.domain.lock.model import Draft
from aegis_tui.domain.piece.events import ConflictResolved
from aegis_tui.domain.run.events import FOUNDATION, GateBlocked
from aegis_tui.domain.run.model import Run
from aegis_tui.domain.spec.events import SpecFailed
from aegis_tui.domain.workspace import Workspace

QA_GATE: Final = "qa_passed"
"""The gate that QA of the merged tree opens."""

APPLY_COMMAND: Final = "aegis-tui merge apply"

_REASON_CHARACTERS = 2000


def leave_out(
    workspace: Workspace, run: Run, reasons: Mapping[str, str], *, otherwise: list[Draft], is_asked: bool = False
) -> list[Draft]:
    """Return the events that leave pieces out of the result, with those that build on them.

    Args:
        workspace: The state after the last logged event.
        run: The run of the pieces.
        reasons: Piece -> why it is left out; at least one.
        otherwise: The result if they cannot be left out: the run may not end without a piece, no feature would be kept,
            or one of them is the foundation.
        is_asked: The person asks for it now, so that the run may end without them.
    """
    out = _with_dependants(run, reasons)
    kept = [name for name in _kept_features(run) if name not in out]
    if not (run.may_be_partial or is_asked) or not kept or FOUNDATION in out:
        return otherwise
    return [draft for name, reason in out.items() for draft in _left_out(workspace, run, name, reason)]


def _with_dependants(run: Run, reasons: Mapping[str, str]) -> dict[str, str]:
    """Return the pieces that are left out now, each with its reason; those that are left out already are not named."""
    needs = {piece.name: piece.depends_on for piece in run.pieces.values()}
    out = dict(reasons)
    for name in reasons:
        for other in dependants(name, run.pieces, needs):
            out.setdefault(other, f"it builds on {name}, which is left out")
    return {name: reason for name, reason in out.items() if not run.pieces[name].left_out}


def _left_out(workspace: Workspace, run: Run, name: str, reason: str) -> Iterator[Draft]:
    piece = run.pieces[name]
    yield HUB, PieceLeftOut(run=run.run, piece=name, reason=reason[:_REASON_CHARACTERS])
    failed = SpecFailed(specId=piece.spec_id, path=spec_path(piece.spec_id), reason=reason[:_REASON_CHARACTERS])
    yield HUB, failed
    for item in run.conflicts.values():
        if item.resolution is None and name in (item.a, item.b):
            yield HUB, ConflictResolved(run=run.run, conflict_id=item.conflict_id, resolution="none")
    for instance in workspace.instances.of_run(run.run):
        if instance.is_alive and instance.piece == name:
            yield instance.agent_id, InstanceStopping(reason=f"{name} is left out of the result")


def seek_culprits(run: Run, reason: str, *, otherwise: list[Draft], is_asked: bool = False) -> list[Draft]:
    """Return the event that starts the search for the pieces that break QA; `otherwise` if it would be of no use.

    It is not if the run may not end without a piece, or has only one feature left.
    """
    if not (run.may_be_partial or is_asked) or len(_kept_features(run)) < 2:
        return otherwise
    return [(HUB, CulpritsSought(run=run.run, oid=run.working_oid, reason=reason[:_REASON_CHARACTERS]))]


def waits_for_key(run: Run) -> bool:
    """Return whether a person who watches the run is to decide if the pieces that break QA are left out."""
    return run.options.attended and not run.may_be_partial and len(_kept_features(run)) > 1


def waiting_for_partial(run: Run, reason: str) -> Draft:
    """Return the event that says that QA stays closed until the person decides whether pieces are left out.

    Args:
        run: The run.
        reason: Why QA failed.
    """
    shown = reason[:_REASON_CHARACTERS]
    return HUB, GateBlocked(run=run.run, stage=run.stage, gate=QA_GATE, reason=shown, command=APPLY_COMMAND)


def _kept_features(run: Run) -> list[str]:
    return [piece.name for piece in run.features() if not piece.left_out]
