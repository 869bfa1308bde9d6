"""A prompt to one instance or to a selection, and what became of it."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Label

from aegis_tui.domain.ids import instance_id
from aegis_tui.tui.desk import Desk
from aegis_tui.tui.screens.base import Dialog
from aegis_tui.tui.widgets.prompt import Prompt


class SendScreen(Dialog[str | None]):
    """The words for one or several instances."""

    CSS_PATH = "dialog.tcss"

    def __init__(self, desk: Desk, targets: Sequence[str]) -> None:
        super().__init__(desk)
        self._targets = targets

    def compose(self) -> ComposeResult:
        """A box, and to whom it goes."""
        names = ", ".join(instance_id(name) for name in self._targets)
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = f"Send to {names}"
            yield Prompt("", id="text")
            yield Label(
                "Taken at its next turn; queued until then. A person's typing in the pane always works.",
                classes="muted",
                markup=False,
            )
            yield Label("enter send   ctrl+j new line   esc back", classes="keys", markup=False)

    def on_prompt_submitted(self, message: Prompt.Submitted) -> None:
        """Leave with the words; none at all is no answer."""
        self.dismiss(message.text if message.text.strip() else None)
