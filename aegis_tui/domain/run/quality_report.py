"""How good the submissions of a run were before anything was repaired, as its report has it."""

from __future__ import annotations

from aegis_tui.domain.piece.events import PieceChecked, PieceHeld, RuleAllowed
from aegis_tui.domain.qa.events import QaFinished
from aegis_tui.domain.run.report_model import QualityReport


class QualityTally:
    """Counts names in the first submission of each piece, and pieces that the first round of QA sent back."""

    def __init__(self) -> None:
        self._names: dict[str, tuple[int, int]] = {}
        self._first_qa: QaFinished | None = None

    def take(self, data: PieceChecked | PieceHeld | RuleAllowed | QaFinished) -> None:
        """Add one event of the run; of those about a piece or of QA, only the first counts."""
        if isinstance(data, PieceChecked):
            self._names.setdefault(data.piece, (data.names_used, data.names_unknown))
        elif isinstance(data, QaFinished):
            self._first_qa = self._first_qa or data

    def report(self, pieces: int) -> QualityReport:
        """Return the rates so far.

        Args:
            pieces: How many pieces the run has.
        """
        used = sum(count for count, _ in self._names.values())
        unknown = sum(count for _, count in self._names.values())
        first = self._first_qa
        rate: float | None = None
        if first is not None:
            sent_back = len(first.blamed) if first.blamed else pieces
            rate = 1.0 if first.ok else round(1 - sent_back / pieces, 4) if pieces else 0.0
        return {
            "names_used": used,
            "names_unknown": unknown,
            "unknown_name_rate": round(unknown / used, 4) if used else None,
            "first_pass_qa_rate": rate,
        }
