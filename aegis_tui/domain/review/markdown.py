"""The joint report of all reviewers as Markdown (REV-2)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from aegis_tui.domain.count import counted
from aegis_tui.domain.inert import inert
from aegis_tui.domain.markdown import code_span
from aegis_tui.domain.wire.review import JointFinding, LensVerdict, PieceReview

WORDS = {"APPROVED": "approved", "CHANGES_REQUESTED": "changes requested", "PENDING": "no verdict"}
"""A verdict, in words."""


def review_markdown(run: str, pieces: Sequence[PieceReview]) -> str:
    """Return the report of the reviews of a run as Markdown; what agents wrote stands in code.

    Args:
        run: The id of the run.
        pieces: Its reviewed pieces, or some of them.
    """
    parts = [f"# Review of {inert(run)}", *(part for item in pieces for part in _piece(item))]
    return "\n\n".join(parts if pieces else [*parts, "Nothing has been reviewed yet."]) + "\n"


def span_of(item: JointFinding) -> str:
    """Return the place of a finding as `FILE:LINE` or `FILE:FIRST-LAST`, without a line the file; empty without."""
    if item["file"] is None or item["line"] is None:
        return item["file"] or ""
    last = f"-{item['end_line']}" if item["end_line"] != item["line"] else ""
    return f"{item['file']}:{item['line']}{last}"


def _piece(item: PieceReview) -> Iterator[str]:
    count = counted(len(item["findings"]), "finding")
    yield f"## {code_span(item['piece'])}: {WORDS[item['verdict']]}"
    yield f"Commit {code_span(item['head_oid'][:12])}, {count}, score {item['score']:g}."
    yield "\n".join(_lens(lens) for lens in item["lenses"])
    if item["findings"]:
        yield "\n".join(line for finding in item["findings"] for line in _finding(finding))


def _lens(item: LensVerdict) -> str:
    by = f" by {inert(item['reviewer'])}" if item["reviewer"] else ""
    advisory = "" if item["blocking"] else " (does not block)"
    failed = [code_span(one["id"]) for one in item["criteria"] if not one["pass"]]
    criteria = f"; failed: {', '.join(failed)}" if failed else ""
    return f"- {code_span(item['lens'])}{advisory}: {WORDS[item['verdict']]}{by}{criteria}"


def _finding(item: JointFinding) -> Iterator[str]:
    place = f"{code_span(span_of(item))}: " if item["file"] else ""
    rule = f", rule {code_span(item['rule'])}" if item["rule"] else ""
    lenses = ", ".join(code_span(name) for name in item["lenses"])
    yield f"- **{item['severity']}** {place}{code_span(item['msg'])} (score {item['score']:g}{rule}; {lenses})"
    if item["suggestion"]:
        yield f"  Suggestion: {code_span(item['suggestion'])}"
