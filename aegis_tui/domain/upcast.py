"""Conversion of events and snapshots on disk from older forms to the present one (HUB-5).

Each step converts one older form and returns every later one unchanged, so that data of any version can pass through
all steps. A step is never changed or removed, because logs outlive programs. If you change the form of an event or of
`Workspace.dump`, add a step here, and a test with an old example.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

Plain = dict[str, Any]
Step = Callable[[Plain], Plain]


def lift_event(kind: str, data: Plain) -> Plain:
    """Convert the `data` of an event of type `kind` to the form of its present model; a present form is unchanged.

    Raises:
        TypeError, AttributeError: `data` has the form of no version.
    """
    for step in EVENT_STEPS.get(kind, ()):
        data = step(data)
    return data


def lift_snapshot(plain: Plain) -> Plain:
    """Convert a snapshot to the form that `Workspace.load` takes; the argument is not changed.

    Raises:
        KeyError, TypeError, AttributeError: It is not a snapshot of any version.
    """
    for step in SNAPSHOT_STEPS:
        plain = step(plain)
    return plain


def four_words(data: Plain) -> Plain:
    """Add `status` to QA checks from before 2026-11-28, which had only `ok`: `passed` or `failed`. Others stay.

    One that was `ok` with failed tests becomes `failed`. The number of tests is added as `executed`, as the sum of both
    counts.

    Raises:
        AttributeError: `data` is no dictionary.
    """
    checks = data.get("checks")
    return {**data, "checks": [_four_words(item) for item in checks]} if isinstance(checks, list | tuple) else data


def _four_words(check: Any) -> Any:
    if not isinstance(check, dict) or "status" in check:
        return check
    clean = bool(check.get("ok")) and not check.get("failed")
    passed, failed = check.get("passed"), check.get("failed")
    counted = None if passed is None and failed is None else (passed or 0) + (failed or 0)
    return {"executed": counted, **check, "status": "passed" if clean else "failed"}


def exchanges(plain: Plain) -> Plain:
    """Return the snapshot with an empty `exchanges` if it has none, as before 2026-11-20; one that it has stays."""
    return {"exchanges": [], **plain}


def ended_locks(plain: Plain) -> Plain:
    """Return the snapshot with an empty `ended_locks` if it has none, as before 2026-11-21; one that it has stays."""
    return {"ended_locks": [], **plain}


def scope_ends(plain: Plain) -> Plain:
    """Return the snapshot with `scope_ended` and `scope_counts`, empty if it has none, as before 2026-11-21."""
    return {"scope_ended": {}, "scope_counts": {}, **plain}


def fences(plain: Plain) -> Plain:
    """Build the table of fences, new on 2026-11-21, from the writes and from the tokens of writes and locks.

    A snapshot that has the table is returned unchanged.

    Raises:
        KeyError, TypeError: It is not a snapshot of any version.
    """
    if "fences" in plain:
        return plain
    writes = plain["messages"]["writes"]
    granted: dict[str, set[int]] = {}
    for item in (*writes, *plain["locks"]["locks"]):
        granted.setdefault(item["agent_id"], set()).add(item["token"])
    known = {agent: sorted(tokens) for agent, tokens in sorted(granted.items())}
    return {**plain, "fences": {"writes": [{"seq": 0, **item} for item in writes], "granted": known}}


def past(plain: Plain) -> Plain:
    """Return the snapshot with `past_specs` and `past_runs`, empty if it has none, as before 2026-11-28.

    Until then no ended spec or run was dropped; `Workspace.load` drops them afterwards.
    """
    return {"past_specs": [], "past_runs": [], **plain}


def checks_of_runs(plain: Plain) -> Plain:
    """Add `status` to QA checks in the runs of a snapshot from before 2026-11-28, where they have only `ok`.

    Raises:
        KeyError, TypeError, AttributeError: It is not a snapshot of any version.
    """
    runs = [run | {name: four_words(run[name]) for name in ("qa", "base_qa") if run.get(name)} for run in plain["runs"]]
    return {**plain, "runs": runs}


def reviews_of_pieces(plain: Plain) -> Plain:
    """Add `review_ids`, new on 2026-11-29, to the pieces without it: the one review that a piece could have before.

    Empty for a piece without a review, or with a newer submission that waits.

    Raises:
        KeyError, TypeError, AttributeError: It is not a snapshot of any version.
    """
    runs = []
    for run in plain["runs"]:
        pieces = {name: _with_reviews(piece) for name, piece in run["pieces"].items()}
        runs.append({**run, "pieces": pieces})
    return {**plain, "runs": runs}


def _with_reviews(piece: Plain) -> Plain:
    if "review_ids" in piece:
        return piece
    # A review that is named while a newer submission waits was of the one before.
    is_reviewed = piece.get("review_id") is not None and piece["status"] != "submitted"
    return {**piece, "review_ids": [piece["review_id"]] if is_reviewed else []}


EVENT_STEPS: Final[Mapping[str, tuple[Step, ...]]] = MappingProxyType({"qa:finished": (four_words,)})
"""The conversion steps of each event type, the oldest form first."""

SNAPSHOT_STEPS: Final[tuple[Step, ...]] = (
    exchanges,
    ended_locks,
    scope_ends,
    fences,
    past,
    checks_of_runs,
    reviews_of_pieces,
)
"""The conversion steps of snapshots, the oldest form first."""
