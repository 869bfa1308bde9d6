"""Pages that explain a row of the dashboard when Enter is pressed: an instance, a piece, a lock, a partition, gates."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from aegis_tui.domain.boundary import allowed_words
from aegis_tui.domain.composition.events import PieceLeftOut
from aegis_tui.domain.count import counted
from aegis_tui.domain.event import Event
from aegis_tui.domain.ids import instance_id
from aegis_tui.domain.instance.belief import SOURCES, Belief, SourceReading, believe
from aegis_tui.domain.instance.model import Instance
from aegis_tui.domain.piece.events import PieceReopened, PieceStuck, PieceTested
from aegis_tui.domain.piece.model import PIECE_WORDS, Piece
from aegis_tui.domain.qa.check import why
from aegis_tui.domain.review.lens import for_lens
from aegis_tui.domain.run.boundary import boundary_of
from aegis_tui.domain.run.failure import error_lines
from aegis_tui.domain.run.model import Run
from aegis_tui.domain.run.stage import gates_of
from aegis_tui.domain.workspace import Workspace
from aegis_tui.tui.keys import DEFAULT_KEYS, KeyNames
from aegis_tui.tui.text import Line, Span, clock_text, inert, wrap
from aegis_tui.tui.views.event import event_line
from aegis_tui.tui.views.instance import lasted_s, sign_of, state_of
from aegis_tui.tui.views.run import gate_lines

MOST_EVENTS = 8
"""How many events of an instance, and how many of its piece, are given as evidence."""


def evidence(events: Iterable[Event], item: Instance) -> list[Event]:
    """Return the newest events of an instance, and what became of the submissions of its piece, in log order.

    At most `MOST_EVENTS` of each. `events` are in log order.
    """
    mine: list[Event] = []
    loop: list[Event] = []
    for event in events:
        if event.agent_id == item.agent_id:
            mine.append(event)
        elif _is_of_piece(event, item):
            loop.append(event)
    return sorted([*mine[-MOST_EVENTS:], *loop[-MOST_EVENTS:]], key=lambda event: event.seq)


def _is_of_piece(event: Event, item: Instance) -> bool:
    """Return whether an event says what became of a submission of the piece that the instance builds (FLOW-10)."""
    data = event.data
    if not isinstance(data, PieceTested | PieceReopened | PieceStuck | PieceLeftOut):
        return False
    return (data.run, data.piece) == (item.run, item.piece) and item.review_id is None


def explain_instance(
    workspace: Workspace,
    item: Instance,
    events: Iterable[Event],
    *,
    now: datetime,
    width: int,
    readings: Sequence[SourceReading] = (),
) -> list[Line]:
    """Return the page for an instance: its state, where that is known from, locks, branch, pane and newest events.

    Args:
        workspace: The state.
        item: The instance.
        events: Events, oldest first; `evidence` chooses those that are shown.
        now: The current time, for ages.
        width: Cells of a line for events and for what checks its writes; the other lines are not cut.
        readings: What its sources say now, apart from what was logged.
    """
    state, belief = state_of(workspace, item), believe(item, readings)
    if belief.state != item.word:
        state = sign_of(belief.state)
    seen = evidence(events, item)
    mine = [event for event in seen if event.agent_id == item.agent_id]
    lines: list[Line] = [
        (Span(f"{state.glyph} {state.word}", state.ink), Span(f"   {item.role} · {item.kind}", "muted")),
        (),
        *_known_from(belief, readings, item.note, now),
        _pair("phase", f"{item.phase}, as set by the hub"),
        _pair("last seen", _age(mine[-1].timestamp if mine else item.last_seen, now)),
        _pair("running time", clock_text(lasted_s(item, now))),
    ]
    if item.note:
        lines.append(_pair("note", inert(item.note)))
    lines += _locks_of(workspace, item)
    lines += [
        _pair("may write", inert(", ".join(item.partition)) or "nothing"),
        *(_pairs("checked by", item.write_checks, width) if item.write_checks else ()),
        _pair("branch", item.branch or "none"),
        _pair("worktree", inert(item.worktree or "none")),
        _pair("pane", f"{item.pane or 'none'}, pid {item.pid or '-'}"),
        _pair("tokens", f"{item.tokens.prompt} in, {item.tokens.cached} of them cached, {item.tokens.completion} out"),
    ]
    if item.rescue_ref:
        lines.append(_pair("rescued to", item.rescue_ref))
    lines += [(), (Span("newest events", "strong"),)]
    lines += [event_line(event, width=width) for event in seen]
    return lines


def _known_from(belief: Belief, readings: Sequence[SourceReading], note: str | None, now: datetime) -> list[Line]:
    """Return lines with the source of a state, its evidence, since when it lasts, and what each source says now.

    Evidence that is the note itself, which has its own line, is left out.
    """
    return [
        _pair("source", SOURCES[belief.source]),
        *([_pair("because", inert(belief.because))] if belief.because not in ("", note) else []),
        _pair("since", _age(belief.since, now) if belief.since else "not known"),
        *(_pair("asked now" if not at else "", reading_words(reading)) for at, reading in enumerate(readings)),
    ]


def _locks_of(workspace: Workspace, item: Instance) -> list[Line]:
    """Return lines with the locks that an instance waits for, and those that it holds."""
    lines: list[Line] = []
    for wait in workspace.locks.waits_of(item.agent_id):
        holders = sorted({instance_id(lock.agent_id) for lock in workspace.locks.holders_against(wait)})
        names = ", ".join(str(resource) for resource in wait.resources)
        lines.append(_pair("waits for", f"{inert(names)}, held by {', '.join(holders) or 'no one'}"))
    lines += [
        _pair("holds", f"{inert(str(lock.resource))} {lock.mode}, token #{lock.token}")
        for lock in workspace.locks.locks_of(item.agent_id)
    ]
    return lines


def reading_words(reading: SourceReading) -> str:
    """Return what a source says now as one line: `screen: asking, Do you want to proceed?`."""
    return f"{reading.source}: {reading.state or 'silent'}, {inert(reading.words)}"


def explain_stage(workspace: Workspace, run: Run | None, *, width: int = 80) -> list[Line]:
    """Return the page for the stage of a run: its gates, its error, why the base fails QA, and warnings from its start.

    What there is not is left out; gates and base are shown only while the run is open. If `run` is None, the page says
    that there is none.
    """
    if run is None:
        return [(Span("There is no run.", "muted"),)]
    again = f", round {run.round + 1}" if run.round else ""
    lines: list[Line] = [
        (Span(f"{run.stage}{again}", "accent"), Span(f"   run {run.run} is {run.status.lower()}", "muted")),
        (),
    ]
    if run.is_open:
        lines += gate_lines(gates_of(workspace, run))
        words = "Gates are computed from the log; what an agent claims never opens one."
        lines += [(), *((Span(part, "muted"),) for part in wrap(words, width))]
    if run.error:
        first, *rest = error_lines(run.error)
        lines.append((Span(inert(first), "bad"),))
        lines += [(Span(inert(line)),) for line in rest]
    return [*lines, *_of_base(run, width), *_remarks(run, width), *_boundary(run, width)]


def _of_base(run: Run, width: int) -> list[Line]:
    """Return lines with the checks that fail on the base, so that the gate would stay closed, and what to do about it.

    Empty if the base was not checked or does not fail, or the run is not open.
    """
    if run.base_qa is None or not run.is_open:
        return []
    lines: list[Line] = [
        (),
        (Span("These already fail on the base and would keep the gate qa_passed closed", "strong"),),
    ]
    for check in (item for item in run.base_qa.checks if not item.ok):
        first, *rest = wrap(f"{check.command}: {why(check)}", max(8, width - 4))
        lines += [(Span("  ⚠ ", "warn"), Span(first)), *((Span(f"    {line}"),) for line in rest)]
        lines += [(Span(f"    {line}", "muted"),) for line in wrap(check.remedy, max(8, width - 4)) if check.remedy]
    return [*lines, (Span("FINAL-QA checks the base once more.", "muted"),)]


def _remarks(run: Run, width: int) -> list[Line]:
    """Return lines with the warnings from the run's start, and the server's other models; empty if there are none."""
    lines: list[Line] = []
    if run.facts.warnings:
        lines += [(), (Span("Found before the run began", "strong"),)]
        for warning in run.facts.warnings:
            first, *rest = wrap(warning, max(8, width - 4))
            lines += [(Span("  ⚠ ", "warn"), Span(first)), *((Span(f"    {line}"),) for line in rest)]
    if run.facts.other_models:
        names = ", ".join(run.facts.other_models)
        lines += [(), (Span(f"The model {inert(run.facts.model or '')} was chosen; the server also lists", "muted"),)]
        lines += [(Span(f"    {line}"),) for line in wrap(names, max(8, width - 4))]
    return lines


def _boundary(run: Run, width: int) -> list[Line]:
    """Return lines with what isolates the agents of a run, and what they may reach besides hub and model (SEC-4)."""
    seen = boundary_of(run)
    lines: list[Line] = [(), (Span("Boundary of the agents: ", "strong"), Span(seen["word"]))]
    layers = [f"{name}: {words}" for name, words in seen["layers"].items()]
    for text in (*allowed_words(seen["allowed"]), *layers):
        first, *rest = wrap(inert(text), max(8, width - 4))
        lines += [(Span(f"  {first}"),), *((Span(f"    {line}"),) for line in rest)]
    return lines


def explain_piece(run: Run, name: str) -> list[Line]:
    """Return the page for the piece of that name: its status, worker, files, reviews, and why it was sent back, if so.

    Raises:
        KeyError: The run has no such piece.
    """
    piece = run.pieces[name]
    lines: list[Line] = [
        (Span(inert(piece.name), "accent"), Span(f"   {PIECE_WORDS[piece.status]}", "muted")),
        (),
        _pair("worker", instance_id(piece.agent_id or "none")),
        _pair("depends on", ", ".join(piece.depends_on) or "nothing"),
        _pair("attempts", f"{piece.attempts}, sent back {counted(piece.rejections, 'time')}"),
        _pair("submitted", (piece.head_oid or "not yet")[:12]),
        _pair("merged", (piece.applied_head or "not yet")[:12]),
        _pair("files", inert(", ".join(piece.files)) or "none yet"),
    ]
    lines += [
        _pair("review", f"{review.status}{for_lens(review.lens)} by {instance_id(review.reviewer or 'no one yet')}")
        for review in run.reviews.values()
        if review.piece == name
    ]
    return [*lines, *_loop(piece)]


def _loop(piece: Piece) -> list[Line]:
    """Return lines on the way of a piece between tests and workers: each submission that was sent back, and why."""
    lines: list[Line] = []
    if piece.tested is not None:
        words = "passed" if piece.tested.is_green else "undecided"
        lines.append(_pair("own checks", f"{words}, merged with {piece.tested.onto_oid[:12]}"))
    if piece.handed_over:
        lines.append(_pair("taken over", f"from {', '.join(instance_id(name) for name in piece.handed_over)}"))
    if piece.stuck:
        lines += [(), (Span("waits for you: advise its worker, or leave it out", "warn"),)]
    for trace in piece.traces:
        by = f"{(trace.head_oid or 'no commit')[:12]} by {instance_id(trace.agent_id or 'no one')}"
        lines += [(), (Span("sent back  ", "strong"), Span(inert(by), "muted"))]
        lines += [(Span(inert(line)),) for line in trace.text.splitlines()]
    if piece.feedback and not any(piece.feedback.startswith(trace.text) for trace in piece.traces):
        lines += [(), (Span("why it was sent back", "strong"),)]
        lines += [(Span(inert(line)),) for line in piece.feedback.splitlines()]
    return lines


def explain_lock(workspace: Workspace, lock_id: str, *, now: datetime, keys: KeyNames = DEFAULT_KEYS) -> list[Line]:
    """Return the page for a lock: who holds it, since when, and who waits; if no lock has the id, that it has ended.

    Args:
        workspace: The state.
        lock_id: The id of the lock.
        now: The current time, for ages.
        keys: The names of the keys that the page mentions.
    """
    lock = workspace.locks.find(lock_id)
    if lock is None:
        return [(Span("This lock has ended.", "muted"),)]
    lines: list[Line] = [
        (Span(inert(str(lock.resource)), "accent"), Span(f"   {lock.mode}", "muted")),
        (),
        _pair("held by", instance_id(lock.agent_id)),
        _pair("since", _age(workspace.acquired_at.get(lock_id), now)),
        _pair("lasts", f"{lock.ttl_s:.0f} s unless renewed; it ends with its holder's session"),
        _pair("token", f"#{lock.token}; a write with an older number is refused"),
    ]
    lines += [
        _pair("waits", f"{instance_id(wait.agent_id)}, at most {wait.wait_s:.0f} s")
        for wait in workspace.locks.waits_for(lock)
    ]
    lines += [
        (),
        (Span(f"press {keys['b']} to break it; its holder is notified, and its next write is refused", "muted"),),
    ]
    return lines


def explain_partition(workspace: Workspace, run: Run | None, owner: str) -> list[Line]:
    """Return the page for a partition: who may write there, and its globs, one a line; no globs if it has none.

    `owner` is an agent id, the id of a feature of the run's design, `joint` or `shared`.
    """
    rules = {
        "joint": ("joint", "any worker may write there while it holds an EXCLUSIVE lock"),
        "shared": ("read-only", "every worker may read there, and none may write"),
    }
    planned = {item.id: item.partition for item in run.design.features} if run and run.design else {}
    owned = workspace.partitions.partitions
    globs = {"joint": workspace.partitions.joint, "shared": workspace.partitions.shared, **planned, **owned}
    name, rule = rules.get(owner, (instance_id(owner), "only it may write there; others need a scope request"))
    return [
        (Span(inert(name), "accent"), Span(f"   {rule}", "muted")),
        (),
        *((Span("  "), Span(inert(glob))) for glob in globs.get(owner, ())),
    ]


def _pair(name: str, value: str) -> Line:
    return (Span(f"{name:>12}  ", "muted"), Span(value))


def _pairs(name: str, value: str, width: int) -> list[Line]:
    """Return the pair on as many lines of at most `width` cells as its value needs."""
    first, *rest = wrap(inert(value), max(8, width - 14))
    return [_pair(name, first), *(_pair("", line) for line in rest)]


def _age(timestamp: str | None, now: datetime) -> str:
    if timestamp is None:
        return "never"
    return f"{clock_text((now - datetime.fromisoformat(timestamp)).total_seconds())} ago"
