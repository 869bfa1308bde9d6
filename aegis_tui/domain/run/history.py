"""The runs in the log of a workspace, also those that the state no longer holds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from aegis_tui.domain.event import Event
from aegis_tui.domain.run.events import RunFinished, RunStarted
from aegis_tui.domain.run.report_model import PastRun, Report

RUN_EVENTS = ("run:started", "run:finished")
"""The types of events that `past_runs` needs; others may be left out."""


def past_runs(events: Iterable[Event]) -> list[PastRun]:
    """Return every run in the order of the log, oldest first, with its goal and its outcome.

    Args:
        events: The log in order; runs that ended in a part that was compacted away are missing.

    Returns:
        For each run `run`, `goal`, `state` (`open`, `done` or `failed`), `ok`, `started_at`, `duration_s`, `commit`,
        `branch`, and `error`, the message of a failure; what is not known is None.
    """
    runs: dict[str, PastRun] = {}
    for event in events:
        match event.data:
            case RunStarted(run=name, goal=goal):
                runs[name] = {**_unknown(name), "goal": goal, "state": "open", "started_at": event.timestamp}
            case RunFinished(run=name, report=report):
                run = runs.setdefault(name, _unknown(name))
                commit, error = report.get("commit") or {}, report.get("error") or {}
                runs[name] = {
                    **run,
                    "goal": run["goal"] or report.get("goal"),
                    "state": "done" if report.get("ok") else "failed",
                    "ok": bool(report.get("ok")),
                    "duration_s": report.get("duration_s"),
                    "commit": commit.get("oid"),
                    "branch": commit.get("branch"),
                    "error": error.get("message"),
                }
            case _:
                continue
    return list(runs.values())


def outcome_word(run: PastRun) -> str:
    """Return the state of a run for a person: `incomplete` if it failed but has a commit, `?` if it is not known."""
    return "incomplete" if run["state"] == "failed" and run["commit"] else run["state"] or "?"


def logged_report(events: Iterable[Event], run: str) -> Report | None:
    """Return the logged report of an ended run; None while the run is open, or when there is no such run."""
    reports = [event.data.report for event in events if isinstance(event.data, RunFinished) and event.data.run == run]
    return cast(Report, reports[-1]) if reports else None


def _unknown(name: str) -> PastRun:
    return PastRun(
        run=name,
        goal=None,
        state=None,
        ok=None,
        started_at=None,
        duration_s=None,
        commit=None,
        branch=None,
        error=None,
    )
