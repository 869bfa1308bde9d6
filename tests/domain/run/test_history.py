from __future__ import annotations

from pathlib import Path

from aegis_tui.domain.run.history import RUN_EVENTS, logged_report, outcome_word, past_runs
from aegis_tui.tui.recorded import load_events

EVENTS = load_events(Path(__file__).parents[2] / "tui" / "data" / "default.jsonl")
STARTED = next(event for event in EVENTS if event.type == "run:started")
FINISHED = next(event for event in EVENTS if event.type == "run:finished")


def test_a_run_is_listed_with_its_goal_and_what_came_of_it() -> None:
    (run,) = past_runs(event for event in EVENTS if event.type in RUN_EVENTS)
    assert (run["run"], run["state"], run["ok"], run["branch"]) == ("run1", "done", True, "aegis/run1/result")
    assert str(run["goal"]).startswith("Add discounts") and run["started_at"] == STARTED.timestamp
    assert len(run["commit"] or "") == 40 and (run["duration_s"] or 0) > 0


def test_a_run_that_goes_on_is_open_and_has_no_report() -> None:
    (run,) = past_runs([STARTED])
    assert (run["state"], run["ok"], run["commit"]) == ("open", None, None)
    assert logged_report([STARTED], "run1") is None


def test_a_run_whose_start_was_compacted_away_is_known_by_its_report() -> None:
    (run,) = past_runs([FINISHED])
    assert (run["state"], run["started_at"]) == ("done", None) and str(run["goal"]).startswith("Add discounts")
    report = logged_report([FINISHED], "run1")
    assert report is not None and report["commit"] is not None and report["commit"]["oid"] == run["commit"]


def test_a_failed_run_with_a_commit_is_called_incomplete() -> None:
    (run,) = past_runs([FINISHED])
    assert outcome_word(run) == "done"
    assert outcome_word({**run, "state": "failed"}) == "incomplete"
    assert outcome_word({**run, "state": "failed", "commit": None}) == "failed"
