"""Moves a spec on with the run that was started for it, along the published table (SPEC-3, SPEC-10)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from aegis_tui.domain.code_map.text import one_line
from aegis_tui.domain.ids import HUB
from aegis_tui.domain.inert import inert
from aegis_tui.domain.lock.model import Draft
from aegis_tui.domain.run.events import Stage
from aegis_tui.domain.run.model import Run, RunStatus
from aegis_tui.domain.spec.events import SpecCompleted, SpecFailed, SpecInProgress, SpecUpdated
from aegis_tui.domain.spec.model import SpecState, SpecStatus
from aegis_tui.domain.workspace import Workspace

_BY_STAGE: Final[Mapping[Stage, SpecStatus]] = MappingProxyType(
    {
        Stage.DESIGN: "planning",
        Stage.FOUNDATION: "in-progress",
        Stage.DISPATCH: "in-progress",
        Stage.MONITORING: "in-progress",
        Stage.INTEGRATE: "diff-submitted",
        Stage.FINAL_QA: "diff-submitted",
        Stage.DONE: "diff-submitted",
    }
)
_REASON_CHARS: Final = 1000
_NO_RESULT: Final = "the run ended without its result"


def follow_specs(workspace: Workspace) -> list[Draft]:
    """Return the events that move specs to where their runs are; empty if all are there."""
    drafts = (_next(spec, workspace) for spec in map(workspace.specs.by_id.get, sorted(workspace.specs.at_work)))
    return [(HUB, data) for data in drafts if data is not None]


def _next(
    spec: SpecState | None, workspace: Workspace
) -> SpecCompleted | SpecFailed | SpecInProgress | SpecUpdated | None:
    if spec is None or spec.by_run is None:
        return None
    run = workspace.runs.by_id.get(spec.by_run)
    if run is None or run.status is RunStatus.COMPLETED:
        if run is not None and (again := _given_back(spec, run, workspace)) is not None:
            return again
        is_whole = run is not None and run.commit is not None and bool(spec.pieces) and not _left_out(spec, run)
        return _end(spec, run, ok=is_whole or bool(run.ok if run else workspace.runs.past.get(spec.by_run)))
    status = _BY_STAGE[run.stage]
    if run.status is RunStatus.ENDING or status == spec.status or status == "planning":
        return None
    if status == "in-progress" or spec.status == "planning":
        return SpecInProgress(specId=spec.spec_id, path=spec.path)
    return SpecUpdated(specId=spec.spec_id, path=spec.path, status=status)


def _left_out(spec: SpecState, run: Run) -> str:
    """Return why a piece of the spec is not in the result; empty if all are."""
    pieces = (run.pieces.get(name) for name in spec.pieces)
    return next((f"{piece.name}: {piece.left_out}" for piece in pieces if piece and piece.left_out), "")


def _given_back(spec: SpecState, run: Run, workspace: Workspace) -> SpecInProgress | SpecUpdated | None:
    """Return the next step back to `approved` for a spec whose run ended because another of its specs was cancelled."""
    if (run.error or {}).get("code") != "cancelled" or not spec.pieces:
        return None
    if not any(item.by_run == run.run and item.status == "cancelled" for item in workspace.specs.by_id.values()):
        return None
    if spec.status == "diff-submitted":
        return SpecInProgress(specId=spec.spec_id, path=spec.path)
    return SpecUpdated(specId=spec.spec_id, path=spec.path, status="approved")


def _end(spec: SpecState, run: Run | None, *, ok: bool) -> SpecCompleted | SpecFailed | SpecInProgress | SpecUpdated:
    if not ok:
        said = (_left_out(spec, run) or (run.error or {}).get("message")) if run else None
        reason = one_line(inert(str(said or _NO_RESULT), keep="\n\t"), limit=_REASON_CHARS)
        return SpecFailed(specId=spec.spec_id, path=spec.path, reason=f"{spec.by_run}: {reason}")
    if spec.status == "planning":
        return SpecInProgress(specId=spec.spec_id, path=spec.path)
    if spec.status != "diff-submitted":
        return SpecUpdated(specId=spec.spec_id, path=spec.path, status="diff-submitted")
    commit = run.commit if run else None
    oid, branch = (commit.oid, commit.branch) if commit else ("", "")
    return SpecCompleted(specId=spec.spec_id, path=spec.path, oid=oid, branch=branch)
