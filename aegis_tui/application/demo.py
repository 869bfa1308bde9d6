"""Compares what the demo promises with a run's report and with git. Pure functions: nothing is run here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from aegis_tui.domain.merge.label import label_words
from aegis_tui.domain.model import FrozenModel
from aegis_tui.domain.run.events import STAGES
from aegis_tui.domain.run.report_model import Report
from aegis_tui.domain.wire.machine import ClaimFields
from aegis_tui.errors import UsageError


class Promise(FrozenModel):
    """What a run of a demo scenario must show."""

    workers: int
    """The least number of workers that were at work at the same time."""
    lock_waits: int
    """The least number of lock requests that had to wait; 0: none may have waited."""
    hot_conflicts: int
    """The least number of hot conflicts that a rebase resolves; the others are merged. 0: no conflict of any kind."""
    qa_rounds: tuple[bool, ...]
    """Whether each round of QA passed, in order."""
    sent_back: tuple[str, ...] = ()
    """The pieces that are sent back because of checks that ran before QA of the whole."""
    taken_over: tuple[str, ...] = ()
    """The pieces that another instance got because the rounds of their worker were used up."""
    left_out: tuple[str, ...] = ()
    """The pieces that are left out of the result; the run may then be partial."""


@dataclass(frozen=True, slots=True)
class DemoResult:
    """What git and the sample's tests show about the result and about the person's checkout."""

    base_oid: str
    commits: Sequence[tuple[str, tuple[str, ...]]]
    """The result branch's commits beyond the base, each with its parents."""
    tests_pass: bool
    checkout_untouched: bool


@dataclass(frozen=True, slots=True)
class Claim:
    """One claim of the demo, whether it holds, and what was found."""

    name: str
    ok: bool
    observed: str

    def to_wire(self) -> ClaimFields:
        """Return the claim as it appears in the JSON report."""
        return {"name": self.name, "ok": self.ok, "found": self.observed}


def parse_promise(fields: Mapping[str, Any]) -> Promise | None:
    """Return the promise of a scenario from its fields; None for empty fields: the scenario promises nothing.

    Raises:
        UsageError: A field is missing, unknown or of the wrong kind.
    """
    if not fields:
        return None
    try:
        return Promise.model_validate(fields)
    except ValidationError as error:
        raise UsageError(f"the promise.yaml of the scenario is not valid: {error}") from error


def what_to_see(promise: Promise | None) -> str:
    """Return one line that says what to look for on the screen while the scenario runs; None: it shows a failure."""
    if promise is None:
        return "look for: why the run fails, and what is kept"
    sights = {
        "an agent that waits for a lock": promise.lock_waits > 0,
        "a rebase after a conflict": promise.hot_conflicts > 0,
        "a failed QA round": False in promise.qa_rounds,
        "a piece that its own checks send back": bool(promise.sent_back),
        "a worker that takes over": bool(promise.taken_over),
        "a piece that is left out": bool(promise.left_out),
        "one commit": True,
    }
    return "look for: " + ", ".join(words for words, is_shown in sights.items() if is_shown)


def judge(report: Report, promise: Promise | None, result: DemoResult) -> list[Claim]:
    """Check every claim of the demo and return them in the order in which they are shown.

    Args:
        report: The run's report (contract 4).
        promise: The scenario's promise; None for a scenario that shows a failure: then only the checkout is checked.
        result: What git shows about the result.
    """
    untouched = Claim(
        "checkout untouched", result.checkout_untouched, "as it was" if result.checkout_untouched else "changed"
    )
    if promise is None:
        return [untouched]
    return [
        _stages(report),
        _workers(report, promise.workers),
        _lock_waits(report, promise.lock_waits),
        _conflicts(report, promise.hot_conflicts),
        _labels(report),
        _qa(report, promise.qa_rounds),
        _sent_back(report, promise.sent_back),
        *([_taken_over(report, promise.taken_over)] if promise.taken_over else []),
        *([_left_out(report, promise.left_out)] if promise.left_out else []),
        _commit(report, result),
        Claim("result passes its tests", result.tests_pass, "passed" if result.tests_pass else "failed"),
        untouched,
    ]


def most_at_once(report: Report, role: str = "worker") -> int:
    """Return the largest number of instances of a role that were alive at the same time; 0 if none was started."""
    steps: list[tuple[float, int]] = []
    for item in report["instances"]:
        if item["role"] == role and item["started_at"]:
            start = datetime.fromisoformat(item["started_at"]).timestamp()
            steps += [(start, 1), (start + float(item["duration_s"]), -1)]
    return _peak(change for _, change in sorted(steps))


def _peak(changes: Iterable[int]) -> int:
    most = now = 0
    for change in changes:
        now += change
        most = max(most, now)
    return most


def _stages(report: Report) -> Claim:
    passed = [stage["name"] for stage in report["stages"] if stage["state"] == "passed" and stage["rounds"]]
    return Claim("seven stages", passed == [str(stage) for stage in STAGES], f"{len(passed)} passed")


def _workers(report: Report, wanted: int) -> Claim:
    most = most_at_once(report)
    return Claim("workers at the same time", most >= wanted, f"{most}")


def _lock_waits(report: Report, wanted: int) -> Claim:
    waited = int(report["locks"]["waited"])
    return Claim("lock waits", waited >= wanted if wanted else waited == 0, f"{waited}")


def _conflicts(report: Report, wanted: int) -> Claim:
    conflicts = report["conflicts"]
    hot = [item for item in conflicts if item["kind"] == "hot"]
    rebased = [item for item in hot if item["resolution"] == "rebased"]
    ended = [item for item in hot if item["resolution"] in ("rebased", "merged")]
    ok = len(rebased) >= wanted and len(ended) == len(hot) and (wanted > 0 or not conflicts)
    early = {True: " (seen while both worked)"}
    words = ", ".join(
        f"{item['path']} {item['resolution']}{early.get(item.get('predicted', False), '')}" for item in conflicts
    )
    return Claim("hot conflicts rebased", ok, words or "none")


def _labels(report: Report) -> Claim:
    """Every file that several pieces changed is proven, or verified by QA on the tree that was committed."""
    files = [(file["path"], file["label"], file["strategy"]) for file in report.get("merged", ())]
    files += [
        (item["path"], item.get("label") or "unlabelled", item.get("strategy"))
        for item in report["conflicts"]
        if item["resolution"] != "none"
    ]
    ok = all(label in ("proven", "verified") for _, label, _ in files)
    words = (f"{path} {label_words(label, strategy)}" for path, label, strategy in files)
    return Claim("merged files proven or verified", ok, ", ".join(dict.fromkeys(words)) or "none")


def _qa(report: Report, wanted: Sequence[bool]) -> Claim:
    rounds: dict[int, bool] = {}
    for check in report["qa"]:
        rounds[check["round"]] = rounds.get(check["round"], True) and bool(check["ok"])
    ended = [rounds[number] for number in sorted(rounds)]
    words = ", ".join("passed" if ok else "failed" for ok in ended) or "not run"
    return Claim("QA rounds", ended == list(wanted), words)


def _sent_back(report: Report, wanted: Sequence[str]) -> Claim:
    names = [
        item["piece"]
        for item in report.get("pieces", ())
        if any(trace["because"] == "checks" for trace in item["sent_back"])
    ]
    return Claim("pieces sent back by their checks", names == list(wanted), ", ".join(names) or "none")


def _taken_over(report: Report, wanted: Sequence[str]) -> Claim:
    names = [item["piece"] for item in report.get("pieces", ()) if item["handed_over"]]
    return Claim("pieces that another worker took over", names == list(wanted), ", ".join(names) or "none")


def _left_out(report: Report, wanted: Sequence[str]) -> Claim:
    names = [item["piece"] for item in report.get("left_out", ())]
    kept = all(item["ref"] for item in report.get("left_out", ()))
    return Claim("left-out pieces whose work is kept", names == list(wanted) and kept, ", ".join(names) or "none")


def _commit(report: Report, result: DemoResult) -> Claim:
    named = report["commit"]["oid"] if report["commit"] else None
    ok = len(result.commits) == 1 and result.commits[0] == (named, (result.base_oid,))
    words = f"{len(result.commits)} commits on the base" if len(result.commits) != 1 else result.commits[0][0][:12]
    return Claim("one commit on the base", ok, words)
