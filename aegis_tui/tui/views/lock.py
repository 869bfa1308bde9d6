"""Rows for locks, for requests that wait for them, and for partitions."""

from __future__ import annotations

from datetime import datetime

from aegis_tui.domain.ids import instance_id
from aegis_tui.domain.lock.model import GrantedLock, LockMode
from aegis_tui.domain.run.model import Run
from aegis_tui.domain.workspace import Workspace
from aegis_tui.tui.text import Ink, Row, Span, clock_text, fit, fit_tail, ident_width, inert

_LETTER: dict[LockMode, tuple[str, Ink]] = {
    LockMode.EXCLUSIVE: ("X", "accent"),
    LockMode.SHARED: ("S", "good"),
    LockMode.REVIEW: ("R", "info"),
}


def lock_rows(workspace: Workspace, *, now: datetime, width: int) -> list[Row]:
    """Return one row per lock with its age, and below it a row for each request that waits for it; empty without locks.

    The key of a lock's row is the lock's id, that of a request `wait/AGENT/REQUEST`. A request that waits for several
    locks is shown once. `width` is in cells.
    """
    rows: list[Row] = []
    shown: set[str] = set()
    for lock in workspace.locks.locks():
        rows.append(Row(lock.lock_id, _lock(workspace, lock, now, width)))
        for wait in workspace.locks.waits_for(lock):
            key = f"wait/{wait.agent_id}/{wait.request_id}"
            if key not in shown:
                shown.add(key)
                words = fit(f"  ↳ {instance_id(wait.agent_id)} waits", width)
                rows.append(Row(key, (Span(words, "warn"),)))
    return rows


def _lock(workspace: Workspace, lock: GrantedLock, now: datetime, width: int) -> tuple[Span, ...]:
    letter, ink = _LETTER[lock.mode]
    since = workspace.acquired_at.get(lock.lock_id)
    age = clock_text((now - datetime.fromisoformat(since)).total_seconds()) if since else ""
    who = instance_id(lock.agent_id)
    ident = ident_width(who)
    room = max(6, width - 2 - 1 - ident - 1 - 5)
    return (
        Span(f"{letter} ", ink),
        Span(fit_tail(inert(str(lock.resource)), room) + " "),
        Span(fit(who, ident) + " ", "strong"),
        Span(fit(age, 5, right=True), "muted"),
    )


def partition_rows(workspace: Workspace, run: Run | None, *, width: int) -> list[Row]:
    """Return a row per glob that shows who may write there: first the partitions, each with its agent.

    Of an open run, its joint globs follow, where any worker may write under a lock, then its shared ones, which are
    read-only. Before any agent has a partition, those of an open run's design are shown; empty if there are none
    either. `run` is None without a run; `width` is in cells.
    """
    rows: list[Row] = []
    owners = {**workspace.partitions.partitions}
    if not owners and run is not None and run.design is not None and run.is_open:
        owners = {feature.id: feature.partition for feature in run.design.features}
    for agent_id, globs in owners.items():
        if globs:
            rows += _globs(instance_id(agent_id), globs, width, "text", key=agent_id)
    if run is not None and run.is_open:
        rows += _globs("joint", workspace.partitions.joint, width, "warn", key="joint")
        rows += _globs("read-only", workspace.partitions.shared, width, "muted", key="shared")
    return rows


def _globs(owner: str, globs: tuple[str, ...], width: int, ink: Ink, *, key: str) -> list[Row]:
    room = max(6, width - 10)
    return [
        Row(
            f"{key}/{glob}",
            (
                Span(fit(owner if at == 0 else "", 9) + " ", "strong" if ink == "text" else ink),
                Span(fit(inert(glob), room), ink),
            ),
        )
        for at, glob in enumerate(globs)
    ]
