"""The final report, and what to press next."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical

from aegis_tui.tui.desk import Desk
from aegis_tui.tui.screens.base import Dialog
from aegis_tui.tui.screens.why import Page
from aegis_tui.tui.views.report import merge_command, report_lines


class ReportScreen(Dialog[None]):
    """The report of one run."""

    CSS_PATH = "dialog.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("c", "copy", "Copy", id="report.copy", tooltip="Copy the command that takes the result in."),
        Binding("enter,q", "leave", "Back", id="report.back", show=False, tooltip="Go back."),
    ]

    def __init__(self, desk: Desk, run: str) -> None:
        super().__init__(desk)
        self._run = run
        self._report = desk.store.reports[run]

    def compose(self) -> ComposeResult:
        """The report in a frame."""
        with Vertical(classes="dialog -wide") as dialog:
            dialog.border_title = f"Report of {self._run}"
            copy = "c copies the merge command · " if merge_command(self._report) else ""
            dialog.border_subtitle = f"{copy}j k scroll · esc back"
            yield Page(lambda width: report_lines(self._report, width=width))

    def action_copy(self) -> None:
        """Put the merge command on the terminal's clipboard (OSC 52)."""
        if command := merge_command(self._report):
            self.app.copy_to_clipboard(command)
            self.desk.tell(command, title="copied, if your terminal allows it")
