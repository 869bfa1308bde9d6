"""What the merge rules found in a run, as its report has it (FLOW-9)."""

from __future__ import annotations

from typing import Final

from aegis_tui.domain.piece.events import PieceChecked, PieceHeld, RuleAllowed
from aegis_tui.domain.rule.finding import RuleFinding, Severity
from aegis_tui.domain.run.report_model import RuleFindingReport, RuleReportPart

_OUTCOMES: Final[dict[Severity, str]] = {"error": "sent back", "person": "sent back", "warning": "noted"}


class RuleTally:
    """Collects the findings of the merge rules, and what became of each."""

    def __init__(self) -> None:
        self._broken_rules: dict[str, RuleFindingReport] = {}
        self._allowed: dict[str, str] = {}
        self._scanners: list[str] = []

    def take(self, data: PieceChecked | PieceHeld | RuleAllowed) -> None:
        """Add one event of the run: the check of a piece, that a piece waits for a person, or an allowed finding.

        A finding of the same piece that is no longer there counts as repaired.
        """
        if isinstance(data, RuleAllowed):
            self._allowed[data.finding.key] = data.by
            row = self._broken_rules.get(data.finding.key) or _row(data.piece, data.finding)
            self._broken_rules[data.finding.key] = {**row, "outcome": "allowed", "allowed_by": data.by}
            return
        if data.scanner and data.scanner not in self._scanners:
            self._scanners.append(data.scanner)
        keys = {item.key for item in data.broken}
        for key, row in self._broken_rules.items():
            if row["piece"] == data.piece and key not in keys and row["outcome"] in ("sent back", "waits"):
                self._broken_rules[key] = {**row, "outcome": "repaired"}
        for item in data.broken:
            self._broken_rules[item.key] = self._judged(data, item)

    def report(self) -> RuleReportPart:
        """Return the findings so far, in the order in which they were found first, and the scanners that ran."""
        return {"scanners": list(self._scanners), "findings": list(self._broken_rules.values())}

    def _judged(self, data: PieceChecked | PieceHeld, item: RuleFinding) -> RuleFindingReport:
        row = _row(data.piece, item)
        if by := self._allowed.get(item.key):
            return {**row, "outcome": "allowed", "allowed_by": by}
        if isinstance(data, PieceHeld) and item.severity == "person":
            return {**row, "outcome": "waits"}
        return row


def _row(piece: str, item: RuleFinding) -> RuleFindingReport:
    return {
        "piece": piece,
        "rule": item.rule,
        "key": item.key,
        "file": item.file,
        "line": item.line,
        "msg": item.msg,
        "severity": item.severity,
        "outcome": _OUTCOMES.get(item.severity, "noted"),
        "allowed_by": None,
    }
