"""A text box for a prompt: Enter sends it, ctrl+j starts a new line, pasted text keeps its lines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import TextArea

from aegis_tui.tui.mishap import Guarded


class PromptArea(Guarded, TextArea):
    """A box for a text of several lines: Enter posts `Submitted`, ctrl+j starts a new line."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "submit", "Go", id="prompt.submit", priority=True, tooltip="Send the text."),
        Binding("ctrl+j", "newline", "New line", id="prompt.newline", priority=True, tooltip="Begin a new line."),
    ]

    @dataclass
    class Submitted(Message):
        """Posted with the text when the person presses Enter."""

        text: str

    def action_submit(self) -> None:
        """Post `Submitted` with the text, even if it is empty; the text stays in the box."""
        self.post_message(self.Submitted(self.text))

    def action_newline(self) -> None:
        """Insert a line break at the cursor."""
        self.insert("\n")
