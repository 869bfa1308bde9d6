"""Rows for instances: state by glyph, word and colour, progress, time and tokens."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import NamedTuple

from aegis_tui.application.when import state_words
from aegis_tui.domain.ids import instance_id
from aegis_tui.domain.instance.model import Instance, Phase
from aegis_tui.domain.lock.model import Resource
from aegis_tui.domain.lock.wait import Wait
from aegis_tui.domain.need import ASKING
from aegis_tui.domain.role import traits_of
from aegis_tui.domain.run.model import Run
from aegis_tui.domain.wire.gateway import UsageFields
from aegis_tui.domain.workspace import Workspace
from aegis_tui.tui.text import Ink, Line, Row, Span, bar, clock_text, count_text, fit, ident_width, inert

TOTAL_KEY = "total"
"""The key of the row with the totals, which is not an instance."""


class StateSign(NamedTuple):
    """How the state of an instance is shown: a character, a word or a few, and an ink."""

    glyph: str
    word: str
    ink: Ink


_BY_PHASE = {
    Phase.PLANNED: StateSign("○", "planned", "muted"),
    Phase.PREPARED: StateSign("○", "preparing", "muted"),
    Phase.LAUNCHED: StateSign("○", "starting", "muted"),
    Phase.STOPPING: StateSign("·", "stopping", "muted"),
}
_ENDED: dict[str, tuple[str, Ink]] = {"done": ("✓", "muted"), "failed": ("✗", "bad"), "ended": ("·", "muted")}
_BY_STATE: dict[str, tuple[str, Ink]] = {
    "waiting": ("◐", "warn"),
    "asking": ("⚑", "warn"),
    "blocked": ("⚑", "bad"),
    "limited": ("◔", "warn"),
    "idle": ("·", "muted"),
    "done": ("✓", "good"),
    "failed": ("✗", "bad"),
    "unknown": ("?", "warn"),
}


def state_of(workspace: Workspace, item: Instance) -> StateSign:
    """Return how to show the state of an instance.

    The first of these that is true counts: it is lost, has ended, is not yet at work or is stopping, waits for a lock;
    else, what the agent reports.
    """
    if item.lost:
        return StateSign("✗", "lost", "bad")
    if item.phase in (Phase.GONE, Phase.RECLAIMED):
        glyph, ink = _ENDED[item.word]
        return StateSign(glyph, item.word, ink)
    if known := _BY_PHASE.get(item.phase):
        return known
    if waits := workspace.locks.waits_of(item.agent_id):
        return StateSign("◐", f"waits {_blocker(workspace, waits[0])}", "warn")
    if item.asks is not None:
        return sign_of(item.word)._replace(word=f"{item.word}: {inert(item.asks.screen.words)}")
    words = f"{item.state}: {inert(item.note)}" if item.state in ASKING and item.note else None
    return sign_of(item.state)._replace(word=words or state_words(item.state, item.until))


def sign_of(state: str) -> StateSign:
    """Return how to show a state of an instance that is alive; its word is the state itself."""
    glyph, ink = _BY_STATE.get(state, ("●", "accent"))
    return StateSign(glyph, state, ink)


def _blocker(workspace: Workspace, wait: Wait) -> str:
    """Return what a request for locks waits for: the first of its files that another instance holds, with that holder.

    For example `w01:routes.py`: the file's name without folders. If another instance holds none of its files, because
    only an earlier request is before this one, only the name of its first file, `routes.py`.
    """
    for resource in wait.resources:
        for lock in workspace.locks.locks_on(resource.path):
            if lock.refuses(wait.agent_id, resource, wait.mode):
                return f"{instance_id(lock.agent_id)}:{_file_name(resource)}"
    return _file_name(wait.resources[0])


def _file_name(resource: Resource) -> str:
    return inert(resource.path.rpartition("/")[2])


def listed(workspace: Workspace, run: Run | None) -> list[Instance]:
    """Return the instances of the run, also ended ones, and every other that is alive, such as one of no run.

    Those that wait for the person come first, then the others that are alive, then those that have ended. Without a
    run, only those that are alive.
    """
    items = [
        item
        for item in workspace.instances.by_id.values()
        if (run is not None and item.run == run.run) or (item.run is None and item.is_alive) or item.is_alive
    ]
    return sorted(items, key=_order)


def _order(item: Instance) -> tuple[bool, bool, int]:
    return (not (item.is_alive and item.word in ASKING), not item.is_alive, traits_of(item.role).rank)


class Columns(NamedTuple):
    """Widths of the columns of the table in cells; a column of width 0 is left out."""

    ident: int
    feature: int
    kind: int
    state: int
    meter: int
    time: int
    tokens: int


def columns_for(width: int, feature_width: int, ident: int) -> Columns:
    """Return widths of the columns that fit in the table; if room is short, kind and tokens are left out (width 0).

    The column `state` gets what is left, which in a very narrow table is 0 or less.

    Args:
        width: Cells of the table.
        feature_width: Cells of the longest name of a feature; it may be cut.
        ident: Cells of the column with the ids.
    """
    time = 7
    tokens = 5 if width >= 60 else 0
    feature = max(7, min(feature_width, 22 if width >= 76 else 18 if width >= 60 else 12))
    meter = 15 if width >= 76 else 10 if width >= 72 else 5
    kind = 8 if width >= 86 else 0
    used = 3 + ident + 1 + feature + 1 + _wide(kind) + meter + 1 + time + _wide(tokens)
    return Columns(ident, feature, kind, width - used - 1, meter, time, tokens)


def _wide(column: int) -> int:
    """Return the cells of a column with the blank after it; 0 if it is left out."""
    return column + 1 if column else 0


def header(columns: Columns) -> Line:
    """Return the line with the names of the columns; those of width 0 are left out."""
    cells = [
        fit("   id", 3 + columns.ident),
        fit("feature", columns.feature),
        *([fit("kind", columns.kind)] if columns.kind else []),
        fit("state", columns.state),
        fit("progress" if columns.meter > 8 else "done", columns.meter),
        fit("time", columns.time, right=True),
        *([fit("tok", columns.tokens, right=True)] if columns.tokens else []),
    ]
    return (Span(" ".join(cells), "muted"),)


def instance_rows(
    workspace: Workspace,
    run: Run | None,
    *,
    now: datetime,
    width: int,
    marked: Collection[str] = (),
    usage: Mapping[str, UsageFields] | None = None,
) -> tuple[Line, list[Row]]:
    """Return the header of the table, and its rows: one per instance, then the totals if the run has pieces.

    Args:
        workspace: The state.
        run: The run whose instances are listed.
        now: The current time, for times that are still running.
        width: Cells of a line.
        marked: Agent ids that are selected.
        usage: Agent id -> tokens as the gateway counted them, as `tokens_of` takes them.
    """
    items = listed(workspace, run)
    names = [inert(_feature(item)) for item in items]
    longest = max((ident_width(item.instance_id) for item in items), default=4)
    columns = columns_for(width, max((len(name) for name in names), default=7), longest)
    rows = [
        Row(item.agent_id, _row(workspace, item, name, columns, now=now, marked=item.agent_id in marked, usage=usage))
        for item, name in zip(items, names, strict=True)
    ]
    if run is not None and run.pieces:
        rows.append(Row(TOTAL_KEY, _total(run, items, columns, usage)))
    return header(columns), rows


def _feature(item: Instance) -> str:
    if item.role == "reviewer":
        return f"review {item.piece or ''}".strip()
    return item.piece or item.task


def _row(
    workspace: Workspace,
    item: Instance,
    name: str,
    columns: Columns,
    *,
    now: datetime,
    marked: bool,
    usage: Mapping[str, UsageFields] | None,
) -> Line:
    state = state_of(workspace, item)
    plain: Ink = "text" if item.is_alive else "muted"
    share = 1.0 if state.word == "done" else item.progress
    return (
        Span("▪" if marked else " ", "accent"),
        Span(f"{state.glyph} ", state.ink),
        Span(fit(item.instance_id, columns.ident) + " ", "strong" if item.is_alive else "muted"),
        Span(fit(name, columns.feature) + " ", plain),
        *([Span(fit(item.kind, columns.kind) + " ", "muted")] if columns.kind else []),
        Span(fit(state.word, columns.state) + " ", state.ink),
        *_meter(share, columns.meter, is_alive=item.is_alive),
        Span(" " + fit(clock_text(lasted_s(item, now)), columns.time, right=True), plain),
        _count(tokens_of(item, usage), columns.tokens, plain),
    )


def _meter(share: float, width: int, *, is_alive: bool) -> tuple[Span, ...]:
    percent = f"{share:4.0%}"
    length = width - 5
    if length < 3:
        return (Span(fit(percent, width), "muted" if not is_alive else "text"),)
    return (
        *bar(share, length, "accent" if is_alive else "muted"),
        Span(f" {percent}", "text" if is_alive else "muted"),
    )


def _count(tokens: int, width: int, ink: Ink) -> Span:
    return Span(f" {fit(count_text(tokens), width, right=True)}" if width else "", ink)


def _total(run: Run, items: list[Instance], columns: Columns, usage: Mapping[str, UsageFields] | None) -> Line:
    done = sum(piece.status == "applied" for piece in run.pieces.values())
    share = done / len(run.pieces)
    lead = 3 + columns.ident + 1 + columns.feature + 1 + _wide(columns.kind) + columns.state + 1
    tokens = sum(tokens_of(item, usage) for item in items)
    words = f"{done} of {len(run.pieces)} pieces are merged"
    return (
        Span(fit(f"   {words}", lead), "muted"),
        *_meter(share, columns.meter, is_alive=run.is_open),
        Span(" " * (columns.time + 1), "muted"),
        _count(tokens, columns.tokens, "muted"),
    )


def lasted_s(item: Instance, now: datetime) -> float:
    """Return for how many seconds an instance has been running, until `now` or its end; 0 if it has not started."""
    if item.started_at is None:
        return 0.0
    end = datetime.fromisoformat(item.ended_at) if item.ended_at else now
    return (end - datetime.fromisoformat(item.started_at)).total_seconds()


def tokens_of(item: Instance, usage: Mapping[str, UsageFields] | None) -> int:
    """Return how many tokens of prompts and completions an instance has used, cached ones included.

    `usage` is agent id -> `prompt_tokens` and `completion_tokens`, as the gateway counted them; if it has no entry for
    the instance, what the agent itself reported is returned.
    """
    if usage and (counted := usage.get(item.agent_id)):
        return counted.get("prompt_tokens", 0) + counted.get("completion_tokens", 0)
    return item.tokens.prompt + item.tokens.completion
