"""A dialog with the report of a run."""

from __future__ import annotations

import asyncio
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical

from aegis_tui.domain.run.report_model import Report
from aegis_tui.tui.desk import Desk
from aegis_tui.tui.screens.base import Dialog
from aegis_tui.tui.screens.why import Page, WhyScreen
from aegis_tui.tui.text import Line, Span, wrap
from aegis_tui.tui.views.report import merge_command, report_lines


class ReportScreen(Dialog[None]):
    """A dialog with the report of one run; its keys copy the merge command and show the output of checks.

    Args:
        desk: What the session works with.
        run: The id of the run.
        report: Its report (contract 4).
    """

    CSS_PATH = "dialog.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("c", "copy", "Copy", id="report.copy", tooltip="Copy the command that merges the result."),
        Binding("o", "outputs", "Outputs", id="report.outputs", tooltip="Show what the checks printed (qa --output)."),
        Binding("enter,q", "leave", "Back", id="report.back", show=False, tooltip="Go back."),
    ]

    def __init__(self, desk: Desk, run: str, report: Report) -> None:
        super().__init__(desk)
        self._run = run
        self._report = report

    def compose(self) -> ComposeResult:
        """Yield a frame with the report as a page that scrolls."""
        with Vertical(classes="dialog -wide") as dialog:
            dialog.border_title = f"Report of {self._run}"
            copy = "c copies the merge command · " if merge_command(self._report) else ""
            dialog.border_subtitle = f"{copy}o check output · j k scroll · esc back"
            yield Page(lambda width: report_lines(self._report, width=width))

    def action_copy(self) -> None:
        """Copy the merge command to the terminal's clipboard (OSC 52), and show it; if there is no result, do nothing.

        Whether the terminal allows that is not known.
        """
        if command := merge_command(self._report):
            self.app.copy_to_clipboard(command)
            self.desk.tell(command, title="copied, if your terminal allows it")

    @work(group="report", exclusive=True)
    async def action_outputs(self) -> None:
        """Open a dialog with the output of the checks of the last QA round; if none is kept, a message says so."""
        lines = await asyncio.to_thread(self.desk.parts.qa_outputs, self._run)
        if not lines:
            self.desk.tell("no output of the checks of this run is kept")
            return

        def render(width: int) -> list[Line]:
            return [(Span(part),) for line in lines for part in wrap(line, width)]

        self.app.push_screen(WhyScreen(self.desk, f"QA of {self._run}", render))
