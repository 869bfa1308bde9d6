"""The labels of merged files and resolved conflicts in the state of a run: what merged each, and what is known (GIT-3).

`verified` says only this: QA ran its commands on the very tree that contains the file, and found no new failure there.
"""

from __future__ import annotations

from collections.abc import Iterable

from aegis_tui.domain.merge.label import Strategy
from aegis_tui.domain.merge.merged_file import MergedFile
from aegis_tui.domain.piece.events import ConflictDetected, ConflictResolved
from aegis_tui.domain.piece.model import PieceConflict, PieceStatus
from aegis_tui.domain.qa.events import QaFinished
from aegis_tui.domain.qa.hook_check import is_hook_check
from aegis_tui.domain.run.model import Run


def note_merged(run: Run, piece: str, files: Iterable[MergedFile]) -> None:
    """Record the merged files of a piece, and that the tree is another one than QA last ran on.

    A file that was merged before, with an earlier commit of the piece, is replaced.
    """
    unverify(run)
    if known := run.pieces.get(piece):
        known.merged_files = tuple({file.path: file for file in (*known.merged_files, *files)}.values())


def replace_merged(run: Run, merged: dict[str, tuple[MergedFile, ...]]) -> None:
    """Record the merged files of all pieces after they were composed anew: piece -> its files."""
    unverify(run)
    for name, piece in run.pieces.items():
        piece.merged_files = merged.get(name, ())
    for conflict in run.conflicts.values():
        if conflict.resolution in ("merged", "rebased"):
            _label(run, conflict)


def note_detected(run: Run, data: ConflictDetected) -> None:
    """Record a conflict, or what it is now; whether it was seen early stays as it was the first time."""
    known = run.conflicts.get(data.conflict_id)
    states = {piece.status for name in (data.a, data.b) if (piece := run.pieces.get(name)) is not None}
    early = PieceStatus.WORKING in states and states <= {PieceStatus.WORKING, PieceStatus.APPLIED}
    predicted = known.predicted if known is not None else early
    fields = data.model_dump(exclude={"type", "run"})
    run.conflicts[data.conflict_id] = PieceConflict(**fields, predicted=predicted)


def label_resolved(run: Run, data: ConflictResolved) -> None:
    """Set how a conflict ended, and the label of what resolved it; without a label if it is gone."""
    conflict = run.conflicts.get(data.conflict_id)
    if conflict is None:
        return
    conflict.resolution = data.resolution
    _label(run, conflict)


def _label(run: Run, conflict: PieceConflict) -> None:
    conflict.label, conflict.strategy, conflict.reason = None, None, ""
    if conflict.resolution in (None, "none"):
        return
    by_agent = conflict.kind == "hot" or conflict.resolution == "rebased"
    strategy: Strategy | None = "person" if conflict.resolution == "person" else "agent" if by_agent else None
    file = MergedFile(path=conflict.path, label="unproven", strategy=strategy)
    if conflict.resolution == "merged":
        merged = [piece.merged_files for name in (conflict.a, conflict.b) if (piece := run.pieces.get(name))]
        known = [each for files in merged for each in files if each.path == conflict.path]
        # If both were merged into other changes of the file, the weaker label says what holds for this conflict.
        file = min(known, key=lambda each: each.label == "proven", default=file)
    conflict.label, conflict.strategy, conflict.reason = file.label, file.strategy, file.reason


def note_qa(run: Run, qa: QaFinished) -> None:
    """Set what is unproven in the merged tree to `verified`, if QA ran on this tree and found no new failure."""
    unverify(run)
    ran = [check for check in qa.checks if check.status in ("passed", "failed") and not is_hook_check(check)]
    if not qa.ok or not ran or qa.oid != run.working_oid:
        return
    reason = f"QA passed on tree {qa.tree[:12]}"
    for piece in run.pieces.values():
        piece.merged_files = tuple(_verified(file, reason) for file in piece.merged_files)
    for conflict in run.conflicts.values():
        if conflict.resolution not in (None, "none") and conflict.label == "unproven":
            conflict.label, conflict.reason = "verified", reason


def _verified(file: MergedFile, reason: str) -> MergedFile:
    return file.model_copy(update={"label": "verified", "reason": reason}) if file.label == "unproven" else file


def unverify(run: Run) -> None:
    """Take back what QA had verified, because the tree is another one now."""
    for piece in run.pieces.values():
        piece.merged_files = tuple(
            file.model_copy(update={"label": "unproven", "reason": ""}) if file.label == "verified" else file
            for file in piece.merged_files
        )
    for conflict in run.conflicts.values():
        if conflict.label == "verified":
            conflict.label, conflict.reason = "unproven", ""
