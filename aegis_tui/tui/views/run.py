"""Lines for a run: goal, stages, closed gate, what needs the person, pieces, and the model server."""

from __future__ import annotations

from collections.abc import Iterable

from aegis_tui.domain.boundary import CLOSED
from aegis_tui.domain.need import Need
from aegis_tui.domain.piece.model import PIECE_WORDS, Piece, PieceStatus
from aegis_tui.domain.run.events import STAGES, Stage
from aegis_tui.domain.run.model import Run, RunStatus
from aegis_tui.domain.run.stage import Gate, gates_of
from aegis_tui.domain.wire.gateway import ModelMetrics
from aegis_tui.domain.workspace import Workspace
from aegis_tui.tui.keys import DEFAULT_KEYS, KeyNames
from aegis_tui.tui.text import Ink, Line, Row, Span, bar, fit, inert, line_width, width_of

_PIECE: dict[PieceStatus, tuple[str, Ink]] = {
    PieceStatus.PENDING: ("○", "muted"),
    PieceStatus.WORKING: ("●", "accent"),
    PieceStatus.SUBMITTED: ("◐", "info"),
    PieceStatus.REVIEWING: ("◐", "info"),
    PieceStatus.ACCEPTED: ("◐", "info"),
    PieceStatus.APPLIED: ("✓", "good"),
    PieceStatus.STUCK: ("?", "warn"),
    PieceStatus.LEFT_OUT: ("✗", "bad"),
}
_PIECE_WORD = {**PIECE_WORDS, PieceStatus.STUCK: "needs you"}


_WIDE = 100
"""Cells from which on there is room for more words."""

_STAGES_WIDTH = sum(len(stage) + 2 for stage in STAGES)
"""Cells that all stages take on one line."""


def title_line(
    name: str,
    branch: str,
    run: Run | None,
    needed: list[Need],
    *,
    width: int,
    boundary: str,
    no_goal: str = "no goal yet",
) -> Line:
    """Return the first line of the screen: repository, branch, goal, and badges, such as `halted`, for what is unusual.

    The goal is cut so that all fits in `width` cells; the badges are always shown.

    Args:
        name: The name of the repository.
        branch: The branch that is checked out.
        run: The run; None for none.
        needed: What waits for the person.
        width: Cells.
        boundary: The boundary in a few words, as `boundary_word` returns it; always shown (SEC-4).
        no_goal: Shown if there is no run, or no goal.
    """
    is_closed = boundary == CLOSED
    reach = "network closed" if is_closed and width >= _WIDE else boundary
    badges: list[Span] = [Span(f"  {reach}", "muted" if is_closed else "warn", "screen.why_stage")]
    if run is not None and run.facts.scripted:
        badges += [Span(" "), Span(" scripted ", "badge")]
    if run is not None and run.is_open and run.facts.warnings:
        badges.append(Span(f"  ⚠ {len(run.facts.warnings)}", "warn", "screen.why_stage"))
    if run is not None and run.status is RunStatus.HALTED:
        badges += [Span(" "), Span(" halted ", "badge")]
    if needed:
        verb = "needs" if len(needed) == 1 else "need"
        badges.append(Span(f"  ⚑ {len(needed)} {verb} you", "warn", "screen.next_need"))
    lead = (Span(" aegis ", "accent"), Span(f" {inert(name)}", "strong"), Span(f" ⎇ {inert(branch)}  ", "muted"))
    room = width - line_width(lead) - line_width(tuple(badges)) - 1
    goal = f"“{inert(run.goal)}”" if run is not None and run.goal else no_goal
    ink: Ink = "text" if run is not None else "muted"
    return (*lead, Span(fit(goal, max(0, room)), ink), *badges, Span(" "))


def stage_spans(run: Run | None, *, width: int) -> Line:
    """Return the names of all stages as one line, each with a mark: ended, current, failed or still to come.

    From the second round of MONITORING on, its number is shown too if `width` is at least 100. If the stages do not fit
    in `width` cells, return only the current one; the first one without a run.
    """
    at = STAGES.index(run.stage) if run is not None else -1
    if width < _STAGES_WIDTH:
        mark, ink = _stage_mark(run, max(0, at), at)
        words = f" {mark}{STAGES[max(0, at)]}  {max(0, at) + 1} of {len(STAGES)}"
        return (Span(fit(words, width), ink, "screen.why_stage"),)
    gap = "  " if width >= _WIDE else " "
    spans: list[Span] = []
    for number, stage in enumerate(STAGES):
        mark, ink = _stage_mark(run, number, at)
        name = str(stage)
        if run is not None and stage is Stage.MONITORING and run.round and width >= _WIDE:
            name = f"{name} {run.round + 1}"
        spans.append(Span(f"{mark}{name}{gap}", ink, "screen.why_stage"))
    return (Span(" "), *spans)


def _stage_mark(run: Run | None, number: int, at: int) -> tuple[str, Ink]:
    if run is None or number > at:
        return "·", "muted"
    if number < at or run.ok:
        return "✓", "good"
    if run.ok is False:
        return "✗", "bad"
    return ("◐", "warn") if run.status is RunStatus.HALTED else ("●", "accent")


def gate_line(
    workspace: Workspace, run: Run | None, needed: list[Need], *, width: int, keys: KeyNames = DEFAULT_KEYS
) -> Line:
    """Return one line about the run: the first of these that there is: need of the person, error, result, closed gate.

    Without a run, it says how to enter a goal; if there is none of these, that every gate is open. It is cut to `width`
    cells. `needed` is what `needs` returns; `keys` are the names of the keys that are mentioned.
    """
    if needed and needed[0].kind not in ("ended", "done"):
        words = f" ⚑ {needed[0].words}  —  press {keys['!']} to go there"
        return (Span(fit(words, width), "warn", "screen.next_need"),)
    if run is None:
        return (Span(fit(f" press {keys['n']} to enter a goal, {keys['?']} for help", width), "muted"),)
    if run.error:
        words = f" ✗ {inert(str(run.error.get('message', 'the run failed')))}"
        return (Span(fit(words, width), "bad", "screen.report"),)
    if run.commit is not None:
        ending = run.status is not RunStatus.COMPLETED
        step = "agents are being cleaned up" if ending else f"press {keys['r']} for the report"
        words = f" ✓ one commit: {run.commit.oid[:10]} on {run.commit.branch}  —  {step}"
        return (Span(fit(words, width), "good", "screen.report"),)
    shut = next((gate for gate in gates_of(workspace, run) if not gate.passed), None)
    if shut is None:
        return (Span(fit(" every gate of this stage is open", width), "muted"),)
    room = width - 3 - width_of(shut.name)
    return (
        Span(" ○ ", "warn", "screen.why_stage"),
        Span(shut.name, "text", "screen.why_stage"),
        Span(fit(f"  {inert(shut.reason)}", room), "muted", "screen.why_stage"),
    )


def quiet_words(workspace: Workspace, run: Run | None) -> str:
    """Return a sentence for when nothing needs the person.

    It names the first closed gate, with its reason, if the run is open and has one.
    """
    if run is None or not run.is_open:
        return "nothing needs you now"
    shut = next((gate for gate in gates_of(workspace, run) if not gate.passed), None)
    return f"no question is waiting for you; {shut.name}: {inert(shut.reason)}" if shut else "nothing needs you now"


def gate_lines(gates: list[Gate]) -> list[Line]:
    """Return two lines for each gate: open or closed, and its reason; if a command would open it, a third with that.

    Empty without gates. Lines are not cut.
    """
    lines: list[Line] = []
    for gate in gates:
        glyph, ink = _gate_mark(is_open=gate.passed)
        word = "open" if gate.passed else "closed"
        lines.append((Span(f"{glyph} ", ink), Span(gate.name, "strong"), Span(f"  {word}", ink)))
        lines.append((Span(f"    {inert(gate.reason)}"),))
        if gate.command and gate.command != "aegis-tui status":
            lines.append((Span("    next step  ", "muted"), Span(inert(gate.command), "accent")))
    return lines


def _gate_mark(*, is_open: bool) -> tuple[str, Ink]:
    return ("✓", "good") if is_open else ("○", "warn")


def piece_rows(run: Run | None, *, width: int) -> list[Row]:
    """Return a row per piece, its name as the key: its status, what it waits for, and how often it was sent back.

    Empty if `run` is None. `width` is in cells.
    """
    if run is None:
        return []
    longest = max((width_of(inert(name)) for name in run.pieces), default=8)
    name_width = max(8, min(longest, width - 13))
    return [Row(piece.name, _piece(piece, name_width, width)) for piece in run.pieces.values()]


def _piece(piece: Piece, name_width: int, width: int) -> Line:
    glyph, ink = _PIECE[piece.status]
    notes = []
    if piece.depends_on and piece.status is PieceStatus.PENDING:
        notes.append(f"after {', '.join(piece.depends_on)}")
    if piece.rejections:
        notes.append(f"{piece.rejections}× sent back")
    word = fit(_PIECE_WORD[piece.status], 9)
    rest = max(0, width - 2 - name_width - 1 - 9 - 1)
    note = inert(", ".join(notes))
    return (
        Span(f"{glyph} ", ink),
        Span(fit(inert(piece.name), name_width) + " "),
        Span(word + " ", ink),
        Span(fit(note, rest) if rest >= 8 else "", "muted"),
    )


def meter_line(meters: ModelMetrics | None, *, scripted: bool, model: str | None, absent: str, width: int) -> Line:
    """Return a line with the figures of the model server, or `absent` if there are none.

    Args:
        meters: `metrics` of `GET /v1/meters` (contract 9), or None.
        scripted: Whether the model is a scripted one.
        model: The model's name, if known.
        absent: Shown if `meters` is None; the part after ` ─ ` is left out if it does not fit.
        width: Cells.
    """
    if meters is None:
        words = absent if width_of(absent) < width else absent.partition(" ─ ")[0]
        return (Span(fit(f" {words}", width), "muted"),)
    name = Span("scripted model", "warn") if scripted else Span(inert(model or "model"), "strong")
    groups: list[Line] = [(Span(" "), name, Span("  "))]
    for value, word in ((meters.get("running"), "running"), (meters.get("waiting"), "waiting")):
        groups.append((Span(str(value or 0), "strong"), Span(f" {word}  ", "muted")))
    if (fill := meters.get("kv_cache")) is not None:
        groups.append((Span("KV ", "muted"), *bar(float(fill), 8), Span(f" {float(fill):.0%}  ")))
    if (hits := meters.get("prefix_hit_rate")) is not None:
        groups.append((Span("prefix hits ", "muted"), Span(f"{float(hits):.0%}  ")))
    if (speed := meters.get("tokens_per_s")) is not None:
        groups.append((Span(f"{float(speed):.0f}"), Span(" tok/s  ", "muted")))
    if (ttft := meters.get("ttft_s")) is not None:
        groups.append((Span("TTFT ", "muted"), Span(f"{float(ttft):.2f} s  ")))
    return fitting(groups, width)


def fitting(groups: Iterable[Line], width: int) -> Line:
    """Return the groups joined to one line, up to the first one that no longer fits as a whole in `width` cells."""
    kept: list[Span] = []
    left = width
    for group in groups:
        left -= line_width(group)
        if left < 0:
            break
        kept += group
    return tuple(kept)
