"""Older forms of what lies on disk, lifted to the present one: the events of a log, and its snapshots (HUB-5).

Each step takes one older form and leaves every later one as it is, so what any earlier program wrote passes through all
of them. A step is never changed or removed, for logs outlive programs. Whoever changes the form of an event or of
`Workspace.dump` adds a step here, and a test with an old one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

Plain = dict[str, Any]
Step = Callable[[Plain], Plain]


def lift_event(kind: str, data: Plain) -> Plain:
    """The `data` of an event in the form that its model takes; what is no older form comes back as it is."""
    for step in EVENT_STEPS.get(kind, ()):
        data = step(data)
    return data


def lift_snapshot(plain: Plain) -> Plain:
    """A snapshot in the form that `Workspace.load` takes; the one that was given is not changed.

    Raises:
        KeyError: It is no snapshot of any version.
        TypeError: As for KeyError.
    """
    for step in SNAPSHOT_STEPS:
        plain = step(plain)
    return plain


def four_words(data: Plain) -> Plain:
    """Checks of QA from before 2026-11-28 have `ok` alone; one that did not pass had failed."""
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
    """Before 2026-11-20 nobody followed what is exchanged about a feature."""
    return {"exchanges": [], **plain}


def ended_locks(plain: Plain) -> Plain:
    """Before 2026-11-21 the ends of locks were not remembered."""
    return {"ended_locks": [], **plain}


def scope_ends(plain: Plain) -> Plain:
    """Before 2026-11-21 nothing was kept of requests whose asker has ended, and none were counted."""
    return {"scope_ended": {}, "scope_counts": {}, **plain}


def fences(plain: Plain) -> Plain:
    """Before 2026-11-21 fences had no table: the writes are known, and the tokens that these and the locks name."""
    if "fences" in plain:
        return plain
    writes = plain["messages"]["writes"]
    granted: dict[str, set[int]] = {}
    for item in (*writes, *plain["locks"]["locks"]):
        granted.setdefault(item["agent_id"], set()).add(item["token"])
    known = {agent: sorted(tokens) for agent, tokens in sorted(granted.items())}
    return {**plain, "fences": {"writes": [{"seq": 0, **item} for item in writes], "granted": known}}


def past(plain: Plain) -> Plain:
    """Before 2026-11-28 a snapshot held all that ever ended; `load` forgets of it what would be forgotten by now."""
    return {"past_specs": [], "past_runs": [], **plain}


def checks_of_runs(plain: Plain) -> Plain:
    """As `four_words`, for the runs of a snapshot."""
    runs = [run | {name: four_words(run[name]) for name in ("qa", "base_qa") if run.get(name)} for run in plain["runs"]]
    return {**plain, "runs": runs}


EVENT_STEPS: Final[Mapping[str, tuple[Step, ...]]] = MappingProxyType({"qa:finished": (four_words,)})
"""By type of event, the oldest form first."""

SNAPSHOT_STEPS: Final[tuple[Step, ...]] = (exchanges, ended_locks, scope_ends, fences, past, checks_of_runs)
"""The oldest form first."""
