"""A dialog for a prompt to one or several instances."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Label

from aegis_tui.domain.ids import instance_id
from aegis_tui.tui.desk import Desk
from aegis_tui.tui.screens.base import Dialog
from aegis_tui.tui.widgets.prompt import PromptArea


class SendScreen(Dialog[str | None]):
    """A dialog in which the person types a prompt; its result is the text, or None for nothing to send.

    It sends nothing itself. `targets` are the agent ids to which the prompt will be sent; they are shown.
    """

    CSS_PATH = "dialog.tcss"

    def __init__(self, desk: Desk, targets: Sequence[str]) -> None:
        super().__init__(desk)
        self._targets = targets

    def compose(self) -> ComposeResult:
        """Yield a frame with the recipients as its title, and in it a text box and the keys."""
        names = ", ".join(instance_id(name) for name in self._targets)
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = f"Send to {names}"
            yield PromptArea("", id="text")
            yield Label(
                "An agent that is working gets it at its next turn. You can also type in its pane at any time.",
                classes="muted",
                markup=False,
            )
            yield Label("enter send   ctrl+j new line   esc back", classes="keys", markup=False)

    def on_prompt_area_submitted(self, message: PromptArea.Submitted) -> None:
        """Close the dialog with the text, or with None if it is blank."""
        self.dismiss(message.text if message.text.strip() else None)
