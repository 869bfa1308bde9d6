"""The report of a run as a page of lines: outcome, stages, QA, instances, locks, conflicts and reviews."""

from __future__ import annotations

from aegis_tui.domain.boundary import allowed_words, boundary_word
from aegis_tui.domain.count import counted
from aegis_tui.domain.merge.label import label_words
from aegis_tui.domain.review.lens import for_lens
from aegis_tui.domain.run.failure import error_lines
from aegis_tui.domain.run.report_model import InstanceReport, Report, StageReport
from aegis_tui.tui.text import Ink, Line, Span, clock_text, count_text, fit, inert, wrap

_STAGE: dict[str, tuple[str, Ink]] = {
    "passed": ("✓", "good"),
    "failed": ("✗", "bad"),
    "active": ("●", "accent"),
    "reopened": ("◐", "warn"),
    "pending": ("·", "muted"),
}


def merge_command(report: Report) -> str:
    """Return the git command that merges the result of a run into the current branch; empty if it has no commit."""
    commit = report.get("commit")
    return f"git merge --ff-only {commit['branch']}" if commit else ""


def report_lines(report: Report, *, width: int) -> list[Line]:
    """Return the report of a run as lines for a person: outcome, stages, QA, instances, locks, conflicts, reviews.

    Args:
        report: The report as `aegis-tui report --json` prints it (contract 4).
        width: Cells of a line; most are wrapped or cut to it.
    """
    return [
        *_outcome(report, width),
        (),
        (Span("Stages", "strong"),),
        *[line for stage in report["stages"] for line in _stage(stage, width)],
        (),
        (Span("QA", "strong"),),
        *_qa(report, width),
        (),
        (Span("Instances", "strong"),),
        *[_instance(item, width) for item in report["instances"]],
        (),
        *_counts(report, width),
    ]


def _outcome(report: Report, width: int) -> list[Line]:
    lines: list[Line] = []
    commit, error = report.get("commit"), report.get("error")
    took = clock_text(float(report["duration_s"]))
    if commit:
        lines.append((Span("✓ ", "good"), Span(inert(str(commit["subject"])), "strong")))
        place = f"  {str(commit['oid'])[:12]} on {commit['branch']}, {counted(commit['files'], 'file')}, {took}"
        lines.append((Span(fit(inert(place), width), "muted"),))
    if error:
        first, *rest = error_lines(error)
        lines.append((Span("✗ ", "bad"), Span(inert(first), "bad")))
        lines += [(Span(f"  {part}"),) for line in rest for part in wrap(inert(line), width - 2)]
    for item in report.get("left_out", ()):
        lines.append((Span("  left out: ", "warn"), Span(inert(item["piece"]), "strong")))
        lines += [(Span(f"    {part}", "bad"),) for part in wrap(inert(item["reason"]), width - 4)]
        lines += [(Span(fit(f"    kept in {inert(item['ref'])}", width), "muted"),)] if item["ref"] else []
    if report.get("scripted"):
        words = ": the model's answers came from files; all else was real"
        lines.append((Span("  scripted", "warn"), Span(words, "muted")))
    if command := merge_command(report):
        lines += [(), (Span("Next", "strong"), Span("   merge it into your branch:", "muted"))]
        lines.append((Span(f"  {command}", "accent"),))
    return lines


def _stage(stage: StageReport, width: int) -> list[Line]:
    glyph, ink = _STAGE.get(str(stage["state"]), ("?", "warn"))
    rounds = f"{stage['rounds']} rounds" if stage["rounds"] > 1 else ""
    gates = wrap(", ".join(gate["name"] for gate in stage["gates"]), max(20, width - 33))
    first = (
        Span(f"  {glyph} ", ink),
        Span(fit(str(stage["name"]), 11)),
        Span(fit(clock_text(float(stage["duration_s"])), 7, right=True) + "  "),
        Span(fit(rounds, 9), "warn"),
        Span(gates[0], "muted"),
    )
    return [first, *[(Span(" " * 33 + gate, "muted"),) for gate in gates[1:]]]


def _qa(report: Report, width: int) -> list[Line]:
    lines: list[Line] = []
    for check in report["qa"]:
        glyph, ink = _mark(ok=bool(check["ok"]))
        word = {"not_run": "did not run  ", "empty": "executed no test  "}.get(str(check.get("status")), "")
        word += "accepted  " if check.get("accepted_by") else ""
        count = f"{check['passed']} passed, {check['failed'] or 0} failed" if check["passed"] is not None else ""
        lines.append(
            (
                Span(f"  {glyph} ", ink),
                Span(f"round {int(check.get('round', 0)) + 1}  "),
                Span(word, "warn"),
                Span(count, "good" if check["ok"] else "bad"),
            )
        )
        lines += [(Span(f"      $ {part}", "muted"),) for part in wrap(str(check["command"]), width - 8)]
        lines += [(Span(f"      {part}", "warn"),) for part in wrap(str(check.get("note") or ""), width - 6) if part]
        for text in (check.get("reason"), check.get("remedy")):
            if not check["ok"] and text:
                lines += [(Span(f"      {part}", "bad"),) for part in wrap(str(text), width - 6)]
        said = str(check.get("reason") or "") if not check["ok"] else ""
        for name in check["new_failures"]:
            if str(name) not in said:
                lines += [(Span(f"      {part}", "bad"),) for part in wrap(str(name), width - 6)]
    return lines or [(Span("  none ran", "muted"),)]


def _mark(*, ok: bool) -> tuple[str, Ink]:
    return ("✓", "good") if ok else ("✗", "bad")


def _instance(item: InstanceReport, width: int) -> Line:
    tokens = item["tokens"]
    used = count_text(int(tokens["prompt"]) + int(tokens["completion"]))
    return (
        Span(f"  {fit(str(item['id']), 4)} ", "strong"),
        Span(fit(str(item["role"]), 10) + " ", "muted"),
        Span(fit(inert(str(item["feature"] or "")), 14) + " "),
        Span(fit(inert(str(item["state"])), 10) + " "),
        Span(fit(clock_text(float(item["duration_s"])), 6, right=True)),
        Span(fit(used, 7, right=True) + " tok", "muted"),
        Span(f"  {inert(str(item['rescue_ref']))}" if item.get("rescue_ref") else "", "warn"),
    )


def _counts(report: Report, width: int) -> list[Line]:
    locks, conflicts = report["locks"], report["conflicts"]
    boundary = report["boundary"]
    allowed = boundary.get("allowed", {})  # a report of an earlier version has no such field
    words = "; ".join([boundary_word(boundary["level"], allowed), *allowed_words(allowed)])
    lines: list[Line] = [
        *_headed("Boundary ", words, width),
        (
            Span("Locks ", "strong"),
            Span(f"{locks['granted']} granted, {locks['waited']} waited, {locks['deadlocks']} deadlocks"),
        ),
    ]
    for item in conflicts:
        words = f"{item['a']} × {item['b']} in {item['path']}: {item['resolution']}"
        if label := label_words(item.get("label"), item.get("strategy")):
            words += f" {label}"
        lines += _headed("Conflict ", words, width)
    for file in report.get("merged", ()):  # a report of an earlier version has no such field
        words = f"{file['piece']}, {file['path']}: {label_words(file['label'], file['strategy'])}"
        lines += _headed("Merged ", words, width)
    for review in report["reviews"]:
        if review["verdict"] != "APPROVED":
            piece = f"{review['piece']}{for_lens(review.get('lens'))}"
            words = f"{piece}: {review['verdict']}, {counted(len(review['findings']), 'finding')}"
            lines += _headed("Review ", words, width)
    return [*lines, *_quality(report, width)]


def _quality(report: Report, width: int) -> list[Line]:
    """Return the rates of unknown names and of pieces that passed QA at once, and the advice that was given.

    Empty if no names were looked at, and no advice was given.
    """
    lines: list[Line] = []
    quality = report.get("quality")  # a report of an earlier version has no such field
    if quality is not None and quality["unknown_name_rate"] is not None:
        share = f"{quality['names_unknown']} of {quality['names_used']}"
        words = f"{share} names in submitted code are undefined ({quality['unknown_name_rate']:.1%})"
        if quality["first_pass_qa_rate"] is not None:
            words += f"; {quality['first_pass_qa_rate']:.0%} of the pieces passed the first round of QA"
        lines += _headed("Names ", words, width)
    for item in report["instances"]:
        for advice in item.get("advice", ()):
            words = f"{item['id']} was told of the earlier failure {advice['failure']}: {advice['line']}"
            lines += _headed("Advice ", words, width)
    return lines


def _headed(head: str, words: str, width: int) -> list[Line]:
    """Return the words as lines, with a heading before the first; `head` ends with a blank."""
    first, *rest = wrap(words, max(10, width - len(head)))
    return [(Span(head, "strong"), Span(first)), *((Span(" " * len(head) + line),) for line in rest)]
