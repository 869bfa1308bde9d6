from typing import Any

import pytest

from aegis_tui.application.demo import DemoResult, Promise, judge, most_at_once, parse_promise, what_to_see
from aegis_tui.domain.run.events import STAGES
from aegis_tui.errors import UsageError

PROMISE = Promise(workers=2, lock_waits=1, hot_conflicts=1, qa_rounds=(False, True))
RESULT = DemoResult("base", [("tip", ("base",))], tests_pass=True, checkout_untouched=True)


def instance(role: str, started_at: str, duration_s: float) -> dict[str, Any]:
    return {"role": role, "started_at": f"2026-01-05T09:00:{started_at}Z", "duration_s": duration_s}


def ended(kind: str, resolution: str, *, label: str | None = "verified") -> dict[str, Any]:
    return {"path": "a", "kind": kind, "resolution": resolution, "label": label, "strategy": "agent"}


def report(**changes: Any) -> Any:
    return {
        "ok": True,
        "stages": [{"name": str(stage), "state": "passed", "rounds": 1} for stage in STAGES],
        "instances": [instance("worker", "00.000", 5.0), instance("worker", "04.000", 5.0)],
        "locks": {"waited": 1},
        "conflicts": [ended("hot", "rebased")],
        "pieces": [{"piece": "a", "handed_over": [], "sent_back": []}],
        "qa": [{"round": 0, "ok": False}, {"round": 0, "ok": True}, {"round": 1, "ok": True}],
        "commit": {"oid": "tip"},
        **changes,
    }


def broken(promise: Promise | None = PROMISE, result: DemoResult = RESULT, **changes: Any) -> list[str]:
    return [claim.name for claim in judge(report(**changes), promise, result) if not claim.ok]


def test_a_run_that_shows_everything_keeps_every_promise() -> None:
    assert broken() == []


def test_the_hint_names_what_the_scenario_shows_and_nothing_else() -> None:
    assert what_to_see(PROMISE) == (
        "look for: an agent that waits for a lock, a rebase after a conflict, a failed QA round, one commit"
    )
    partial = Promise(workers=2, lock_waits=0, hot_conflicts=0, qa_rounds=(True,), left_out=("receipt",))
    assert what_to_see(partial) == "look for: a piece that is left out, one commit"
    assert "commit" not in what_to_see(None)


def test_workers_one_after_another_were_not_there_at_the_same_time() -> None:
    apart = [instance("worker", "00.000", 4.0), instance("worker", "04.000", 5.0)]
    assert most_at_once(report(instances=apart)) == 1
    assert broken(instances=apart) == ["workers at the same time"]


def test_others_than_workers_do_not_count() -> None:
    assert broken(instances=[instance("worker", "00.000", 5.0), instance("reviewer", "00.000", 5.0)]) == [
        "workers at the same time"
    ]


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"locks": {"waited": 0}}, "lock waits"),
        ({"conflicts": []}, "hot conflicts rebased"),
        (
            {"conflicts": [{"path": "a", "kind": "hot", "resolution": "merged", "label": "proven"}]},
            "hot conflicts rebased",
        ),
        (
            {"conflicts": [{"path": "a", "kind": "hot", "resolution": "person", "label": "verified"}]},
            "hot conflicts rebased",
        ),
        ({"merged": [{"path": "b", "label": "unproven", "strategy": "text"}]}, "merged files proven or verified"),
        ({"qa": [{"round": 0, "ok": True}]}, "QA rounds"),
        ({"stages": []}, "seven stages"),
        ({"commit": None}, "one commit on the base"),
    ],
)
def test_what_a_run_did_not_show_is_named(changes: dict[str, Any], name: str) -> None:
    assert broken(**changes) == [name]


@pytest.mark.parametrize(
    "commits", [[], [("tip", ("other",))], [("tip", ("base", "base2"))], [("tip", ("mid",)), ("mid", ("base",))]]
)
def test_only_one_commit_with_the_base_as_its_only_parent_counts(commits: list[tuple[str, tuple[str, ...]]]) -> None:
    assert broken(result=DemoResult("base", commits, True, True)) == ["one commit on the base"]


def test_a_changed_checkout_and_failing_tests_are_named() -> None:
    assert broken(result=DemoResult("base", RESULT.commits, False, False)) == [
        "result passes its tests",
        "checkout untouched",
    ]


def test_a_calm_scenario_must_report_no_contention_of_any_kind() -> None:
    calm = Promise(workers=2, lock_waits=0, hot_conflicts=0, qa_rounds=(True,))
    quiet: dict[str, Any] = {"locks": {"waited": 0}, "conflicts": [], "qa": [{"round": 0, "ok": True}]}
    assert broken(calm, **quiet) == []
    assert broken(calm, **quiet | {"locks": {"waited": 1}}) == ["lock waits"]
    soft = [ended("soft", "merged")]
    assert broken(calm, **quiet | {"conflicts": soft}) == ["hot conflicts rebased"]


def test_a_conflict_that_was_resolved_without_a_label_is_named() -> None:
    assert broken(conflicts=[ended("hot", "rebased", label=None)]) == ["merged files proven or verified"]


def test_a_scenario_that_promises_nothing_still_leaves_the_checkout_alone() -> None:
    assert parse_promise({}) is None
    assert broken(None, stages=[]) == []
    assert broken(None, DemoResult("base", [], False, False)) == ["checkout untouched"]


def test_a_promise_with_an_unknown_field_is_refused() -> None:
    with pytest.raises(UsageError):
        parse_promise({**PROMISE.model_dump(), "fun": 1})


def test_pieces_that_are_sent_back_or_taken_over_are_promised_exactly() -> None:
    promise = PROMISE.model_copy(update={"sent_back": ("a",), "taken_over": ("a",)})
    names = ["pieces sent back by their checks", "pieces that another worker took over"]
    assert broken(promise) == names
    by_checks, by_review = [{"because": "checks"}], [{"because": "review"}]
    assert broken(promise, pieces=[{"piece": "a", "handed_over": ["w"], "sent_back": by_checks}]) == []
    assert broken(promise, pieces=[{"piece": "a", "handed_over": ["w"], "sent_back": by_review}]) == names[:1]
    assert broken(pieces=[{"piece": "a", "handed_over": [], "sent_back": by_checks}]) == names[:1]
    assert "a worker that takes over" in what_to_see(promise)
