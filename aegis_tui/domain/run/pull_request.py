"""The text for a pull request about a run's commit, from its report (GIT-8).

What agents and models wrote stands in code, so that a forge neither mentions anybody nor closes an issue because of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from aegis_tui.domain.count import counted
from aegis_tui.domain.inert import inert
from aegis_tui.domain.markdown import code_cell, code_span
from aegis_tui.domain.merge.label import label_words
from aegis_tui.domain.run.report_model import Report
from aegis_tui.errors import Refused

_MOST_FINDINGS = 20


class PullRequestText(NamedTuple):
    """Title and body of a pull request; the body is Markdown."""

    title: str
    body: str


def pull_request_text(report: Report) -> PullRequestText:
    """Return the text for a pull request about a run's commit: the commit's subject, and a body in Markdown.

    The body has goal, pieces, checks of the last round, the last review of each piece and allowed findings. What agents
    wrote stands in code.

    Args:
        report: The report of the run.

    Raises:
        Refused: The run made no commit (code `run.no-commit`).
    """
    commit = report["commit"]
    if commit is None:
        raise Refused(
            f"{report['run']} made no commit", "only a run that has ended with a result has one", code="run.no-commit"
        )
    parts = [
        code_span(report["goal"]),
        "\n".join(_pieces(report)),
        "\n".join(["### Checks", "", *_checks(report)]),
        "\n".join(_merged(report)),
        "\n".join(["### Review", "", *_reviews(report)]),
        "\n".join(_rules(report)),
        f"{counted(commit['files'], 'file')} in one commit, {commit['oid'][:12]}, made by {_agents(report)} in "
        f"aegis-tui's {report['run']}; sandbox: {inert(report['boundary']['level'])}."
        + (" The model's replies were read from files." if report["scripted"] else ""),
    ]
    return PullRequestText(inert(commit["subject"]), "\n\n".join(part for part in parts if part) + "\n")


def _pieces(report: Report) -> Iterator[str]:
    left = {item["piece"]: item["reason"] for item in report.get("left_out", ())}
    features = dict.fromkeys(item["feature"] for item in report["instances"] if item["feature"])
    for name in features:
        if name in left:
            continue
        agents = [i["agent_id"] for i in report["instances"] if i["feature"] == name and i["role"] != "reviewer"]
        if agents:  # the composition has reviewers only
            yield f"- {code_span(name or '')}: {', '.join(dict.fromkeys(agents))}"
    for name, reason in left.items():
        yield f"- left out: {code_span(name)}: {code_span(reason)}"


def _agents(report: Report) -> str:
    left = {item["piece"] for item in report.get("left_out", ())}
    builders = [
        item for item in report["instances"] if item["feature"] not in (None, *left) and item["role"] != "reviewer"
    ]
    return counted(len({item["agent_id"] for item in builders}), "agent")


def _checks(report: Report) -> Iterator[str]:
    last = max((item["round"] for item in report["qa"]), default=0)
    yield "| command | status | tests | time |"
    yield "| --- | --- | --- | --- |"
    for item in report["qa"]:
        if item["round"] != last:
            continue
        tests = "" if item["passed"] is None else f"{item['passed']} passed, {item['failed'] or 0} failed"
        if flaky := item.get("flaky"):
            tests += f", {len(flaky)} flaky"
        status = item.get("status", "passed" if item["ok"] else "failed").replace("_", " ")
        accepted = " (accepted)" if item.get("accepted_by") else ""
        yield f"| {code_cell(item['command'])} | {status}{accepted} | {tests} | {item['duration_s']:.1f} s |"


def _merged(report: Report) -> Iterator[str]:
    """Yield the part about files that several pieces changed; nothing if there are none."""
    files = report.get("merged", ())  # a report of an earlier version has no such field
    resolved = [item for item in report["conflicts"] if item.get("strategy") in ("agent", "person")]
    if not files and not resolved:
        return
    yield "### Merged files"
    yield ""
    for file in files[:_MOST_FINDINGS]:
        words = label_words(file["label"], file["strategy"])
        yield f"- {code_span(file['path'])} of {code_span(file['piece'])}: {words}"
    for item in resolved[:_MOST_FINDINGS]:
        words = label_words(item.get("label"), item.get("strategy"))
        pieces = f"{code_span(item['a'])} and {code_span(item['b'])}"
        yield f"- {code_span(item['path'])} of {pieces}: {item['resolution']} {words}"
    if more := max(0, len(files) - _MOST_FINDINGS) + max(0, len(resolved) - _MOST_FINDINGS):
        yield f"- and {more} more"
    yield ""
    yield (
        "Proven: an independent check found that nothing is lost or duplicated. Verified: QA passed on the tree that "
        "contains the file."
    )


def _reviews(report: Report) -> Iterator[str]:
    left = {item["piece"] for item in report.get("left_out", ())}
    newest = {(item["piece"], item.get("lens")): item for item in report["reviews"] if item["piece"] not in left}
    for item in newest.values():
        lens = f" for {inert(item['lens'])}" if item.get("lens") not in (None, "general") else ""
        verdict = item["verdict"].replace("_", " ").lower()
        yield f"- {code_span(item['piece'])}{lens}: {verdict} by {inert(item['reviewer'])}"
    if not newest:
        yield "No review."


def _rules(report: Report) -> Iterator[str]:
    part = report.get("rules")
    if part is None or not (part["findings"] or part["scanners"]):
        return
    yield "### Rules"
    yield ""
    yield f"Secret scanner: {', '.join(map(inert, part['scanners'])) or 'none was needed'}."
    allowed = [item for item in part["findings"] if item["outcome"] == "allowed"]
    for item in allowed[:_MOST_FINDINGS]:
        yield f"- allowed: {code_span(item['file'])}: {code_span(item['msg'])} ({item['rule']})"
    if len(allowed) > _MOST_FINDINGS:
        yield f"- and {len(allowed) - _MOST_FINDINGS} more"
