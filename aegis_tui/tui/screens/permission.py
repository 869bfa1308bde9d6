"""Asks the person which choice a program gets for the question on its screen, and sends the answer (PANE-5)."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Label

from aegis_tui.domain.need import Need
from aegis_tui.tui.desk import Desk
from aegis_tui.tui.screens.base import Dialog, WorkspaceScreen
from aegis_tui.tui.text import Row, Span, fit, inert
from aegis_tui.tui.widgets.line_view import LinePanel


class ChoiceList(LinePanel):
    """The choices for a question, one per row, numbered as on the screen of the program."""

    NAME = "choices"
    TITLE = "Choices"

    def __init__(self, choices: tuple[str, ...]) -> None:
        super().__init__(name_id="choices")
        self._choices = choices

    def on_mount(self) -> None:
        """Show the choices."""
        self._fill()

    def on_resize(self) -> None:
        """Cut the choices to the new width."""
        self.attempt(self._fill)

    def _fill(self) -> None:
        rows = enumerate(self._choices, start=1)
        width = self.line_width
        self.show([Row(str(number), (Span(fit(f"{number}  {inert(words)}", width)),)) for number, words in rows])


class PermissionScreen(Dialog[int | None]):
    """A dialog with the question on a program's screen: its result is the number of the choice, None for esc.

    Args:
        desk: What the session works with.
        need: A need of the kind `permission` with choices.
    """

    CSS_PATH = "dialog.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "leave", "Back", id="permission.back", show=False, tooltip="Go back; nothing is typed."),
    ]

    def __init__(self, desk: Desk, need: Need) -> None:
        super().__init__(desk)
        self._need = need
        self._list = ChoiceList(need.choices)

    def compose(self) -> ComposeResult:
        """Yield a frame with the question and the list of its choices."""
        with Vertical(classes="dialog -wide") as dialog:
            dialog.border_title = f"{inert(self._need.name)} asks on its screen"
            dialog.border_subtitle = "enter answer · esc back"
            yield Label(inert(self._need.words), classes="question", markup=False)
            yield self._list

    def on_mount(self) -> None:
        """Give the list of choices the focus."""
        self._list.styles.height = len(self._need.choices) + 2
        self._list.focus()

    @on(LinePanel.Chosen)
    def _choose(self, message: LinePanel.Chosen) -> None:
        self.dismiss(int(message.key))


async def answer_permission(screen: WorkspaceScreen, need: Need) -> None:
    """Ask which choice the program gets, and send it; nothing is sent if the person leaves the question open.

    For a question without choices, say how to answer it in its pane.

    Args:
        screen: The screen on which the question is asked.
        need: A need of the kind `permission`.
    """
    if not need.choices:
        screen.desk.tell(need.words)
        return
    choice = await screen.app.push_screen_wait(PermissionScreen(screen.desk, need))
    if choice is not None:
        await screen.desk.command("instance:answer", agent_id=need.key, prompt=need.prompt, choice=choice)
