"""A dialog with the list of runs, newest first, to choose one whose report to show. It needs no hub."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical

from aegis_tui.domain.run.history import outcome_word
from aegis_tui.domain.run.report_model import PastRun
from aegis_tui.tui.desk import Desk
from aegis_tui.tui.screens.base import Dialog
from aegis_tui.tui.text import Ink, Row, Span, fit, inert
from aegis_tui.tui.widgets.line_view import LinePanel

_LOOK: Mapping[str, tuple[str, Ink]] = {"done": ("✓", "good"), "failed": ("✗", "bad"), "open": ("●", "accent")}


class RunList(LinePanel):
    """A list with one row per run, newest first. `runs` has the fields of `past_runs`, oldest first."""

    NAME = "runs"
    TITLE = "Runs"
    EMPTY = ("no runs to list", "enter a goal on the dashboard to start one")

    def __init__(self, runs: Sequence[PastRun]) -> None:
        super().__init__(name_id="runs")
        self._runs = list(reversed(runs))

    def on_resize(self) -> None:
        """Draw the rows again, for the new width; a failure is shown in their place."""
        self.attempt(self._fill)

    def _fill(self) -> None:
        self.titled(len(self._runs) or "")
        self.show([Row(str(run["run"]), run_line(run, width=self.line_width)) for run in self._runs])


def run_line(run: PastRun, *, width: int) -> tuple[Span, ...]:
    """Return a run as one line of `width` cells: id, state, start (UTC), duration, goal, and its commit or error.

    What is not known is left empty. `run` has the fields of `aegis-tui runs --json`.
    """
    glyph, ink = _LOOK.get(str(run["state"]), ("?", "warn"))
    at = str(run["started_at"] or "")[:16].replace("T", " ")
    took = "" if run["duration_s"] is None else f"{run['duration_s']:.0f} s"
    result = f"{run['commit'][:10]}" if run["commit"] else str(run["error"] or "")
    lead = f"{run['run']:<7} {outcome_word(run):<10} {at:<16} {took:>7}  "
    rest = max(0, width - 2 - len(lead))
    room = max(0, min(len(inert(result)), rest // 2))
    return (
        Span(f"{glyph} ", ink),
        Span(lead),
        Span(fit(inert(str(run["goal"] or "")), max(0, rest - room - 1)) + " ", "strong"),
        Span(fit(inert(result), room), "muted"),
    )


class RunsScreen(Dialog[str | None]):
    """A dialog to choose a run; its result is the id of that run, or None if none was chosen.

    Args:
        desk: What the session works with.
        runs: The runs, oldest first, with the fields of `past_runs`.
    """

    CSS_PATH = "dialog.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "leave", "Back", id="runs.back", show=False, tooltip="Go back."),
    ]

    def __init__(self, desk: Desk, runs: Sequence[PastRun]) -> None:
        super().__init__(desk)
        self._list = RunList(runs)

    def compose(self) -> ComposeResult:
        """Yield a frame with the list."""
        with Vertical(classes="dialog -wide") as dialog:
            dialog.border_title = "Runs of this repository"
            dialog.border_subtitle = "enter report · esc back"
            yield self._list

    def on_mount(self) -> None:
        """Give the list the focus."""
        self._list.focus()

    @on(LinePanel.Chosen)
    def _open(self, message: LinePanel.Chosen) -> None:
        self.dismiss(message.key)
