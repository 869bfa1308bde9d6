"""The part of a run's report on its pieces: how their own checks ended, and what was sent back to whom (FLOW-10)."""

from __future__ import annotations

from typing import Literal

from aegis_tui.domain.piece.events import PieceReopened, PieceStuck, PieceTested
from aegis_tui.domain.piece.model import Piece, Trace
from aegis_tui.domain.run.model import Run
from aegis_tui.domain.run.report_model import PieceReport, PieceTestReport, SentBackReport

_REASON_CHARACTERS = 600


class PieceTally:
    """Collects the tests of pieces, and where each rejected submission went."""

    def __init__(self) -> None:
        self._tests: dict[str, list[PieceTestReport]] = {}
        self._went: dict[str, list[Literal["worker", "other", "person"]]] = {}

    def take(self, data: PieceTested | PieceReopened | PieceStuck) -> None:
        """Add one event of the run."""
        if isinstance(data, PieceTested):
            passed = bool(data.checks) and all(check.ok for check in data.checks)
            test = PieceTestReport(
                head_oid=data.head_oid, onto_oid=data.onto_oid, ok=data.ok, passed=passed, reason=data.reason
            )
            self._tests.setdefault(data.piece, []).append(test)
        elif isinstance(data, PieceStuck):
            self._went.setdefault(data.piece, []).append("person")
        elif data.counts:
            self._went.setdefault(data.piece, []).append("other" if data.fresh else "worker")

    def report(self, run: Run) -> list[PieceReport]:
        """Return the part of the report, one entry for each piece in the order of the design."""
        return [
            {
                "piece": piece.name,
                "status": str(piece.status),
                "agents": list(piece.agents),
                "handed_over": list(piece.handed_over),
                "tests": self._tests.get(piece.name, []),
                "sent_back": self._sent_back(run, piece),
            }
            for piece in run.pieces.values()
        ]

    def _sent_back(self, run: Run, piece: Piece) -> list[SentBackReport]:
        went = self._went.get(piece.name, [])[-len(piece.traces) :] if piece.traces else []
        return [
            {
                "agent_id": trace.agent_id,
                "head_oid": trace.head_oid,
                "ref": _ref(run, piece, trace),
                "because": trace.because,
                "reason": trace.text.strip()[:_REASON_CHARACTERS],
                "to": place,
            }
            for trace, place in zip(piece.traces, went, strict=False)
        ]


def submission_name(piece: str, head_oid: str) -> str:
    """Return the name below the run's refs under which an earlier submission of a piece is kept."""
    return f"{piece}.{head_oid[:12]}"


def _ref(run: Run, piece: Piece, trace: Trace) -> str | None:
    if trace.head_oid is None:
        return None
    name = piece.name if trace.head_oid == piece.head_oid else submission_name(piece.name, trace.head_oid)
    return f"refs/aegis/runs/{run.run}/{name}"
