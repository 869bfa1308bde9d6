"""A box for words to an agent: Enter sends, ctrl+j breaks the line, a paste keeps its lines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import TextArea

from aegis_tui.tui.mishap import Guarded


class Prompt(Guarded, TextArea):
    """A text area whose Enter means done."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "submit", "Go", id="prompt.submit", priority=True, tooltip="Send what is written."),
        Binding(
            "ctrl+j", "newline", "New line", id="prompt.newline", priority=True, tooltip="Break the line and go on."
        ),
    ]

    @dataclass
    class Submitted(Message):
        """The person is done writing."""

        text: str

    def action_submit(self) -> None:
        """Tell that the text is ready."""
        self.post_message(self.Submitted(self.text))

    def action_newline(self) -> None:
        """Break the line."""
        self.insert("\n")
