"""Dialogs that ask before something is ended, and show what would be lost and where it is saved."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Label

from aegis_tui.domain.instance.model import Instance
from aegis_tui.domain.piece.model import Piece, PieceStatus
from aegis_tui.errors import AegisError
from aegis_tui.tui.desk import Desk
from aegis_tui.tui.screens.base import Dialog
from aegis_tui.tui.text import Line, Span, inert
from aegis_tui.tui.widgets.line_view import LineView

MOST_PATHS = 6


class ConfirmScreen(Dialog[bool | None]):
    """A dialog with a question: its result is True for `y`, False for `n`, None for esc.

    Args:
        desk: What the session works with.
        question: The question; control characters in it are made harmless.
        consequences: Sentences that are shown below it, each on its own line.
    """

    CSS_PATH = "dialog.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "agree", "Yes", id="confirm.yes", tooltip="Do it."),
        Binding("n", "refuse", "No", id="confirm.no", tooltip="Answer no."),
    ]

    def __init__(self, desk: Desk, question: str, consequences: Sequence[str]) -> None:
        super().__init__(desk)
        self._question, self._consequences = question, consequences

    def compose(self) -> ComposeResult:
        """Yield a frame with the question, each consequence, and the keys."""
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = "Are you sure?"
            yield Label(inert(self._question), classes="question", markup=False)
            for words in self._consequences:
                yield Label(inert(words), markup=False)
            yield Label("y yes   n no   esc back", classes="keys", markup=False)

    def action_agree(self) -> None:
        """Close the dialog with the result True."""
        self.dismiss(True)

    def action_refuse(self) -> None:
        """Close the dialog with the result False."""
        self.dismiss(False)


class StopScreen(Dialog[bool | None]):
    """A dialog that asks whether to stop instances: its result is True for `y`, None for esc and `n`.

    It stops nothing itself. It shows which paths of each worktree are not committed, and where they will be saved.

    Args:
        desk: What the session works with.
        targets: The instances.
    """

    CSS_PATH = "dialog.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "agree", "Stop", id="stop.yes", tooltip="Stop them; their work is saved first."),
        Binding("n", "leave", "No", id="stop.no", tooltip="Let them continue."),
    ]

    def __init__(self, desk: Desk, targets: Sequence[Instance]) -> None:
        super().__init__(desk)
        self._targets = targets

    def compose(self) -> ComposeResult:
        """Yield a frame with the instances in its title, and an empty list, which `on_mount` fills."""
        names = ", ".join(item.instance_id for item in self._targets)
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = f"Stop {names}?"
            view = LineView(name_id="losses")
            view.styles.height = min(14, 3 + 4 * len(self._targets))
            yield view
            yield Label("y stop   n or esc let it continue", classes="keys", markup=False)

    def on_mount(self) -> None:
        """Begin to look for uncommitted paths in each worktree, without waiting for them.

        The list shows them when all are known; for an instance for which git fails, it shows why.
        """
        self._view().show_lines([(Span("looking for uncommitted work…", "muted"),)])
        self.run_worker(self._look(), group="look", exclusive=True)

    def _view(self) -> LineView:
        return self.query_one("#losses", LineView)

    async def _look(self) -> None:
        lines: list[Line] = []
        for item in self._targets:
            try:
                unsaved = await self._unsaved(item)
            except AegisError as error:
                unsaved = [f"unknown ({error.message})"]
            run = self.desk.store.workspace.runs.by_id.get(item.run or "")
            lines += _losses(item, run.pieces.get(item.piece or "") if run else None, unsaved)
        self._view().show_lines(lines)

    async def _unsaved(self, item: Instance) -> list[str]:
        if not item.worktree or not item.branch:
            return []
        return await self.desk.parts.unsaved(Path(item.worktree), item.branch)

    def action_agree(self) -> None:
        """Close the dialog with the result True; it stops nothing itself."""
        self.dismiss(True)


def _losses(item: Instance, piece: Piece | None, unsaved: Sequence[str]) -> list[Line]:
    head: Line = (Span(item.instance_id, "strong"), Span(f"  {inert(item.piece or item.task)}, {item.state}", "muted"))
    if not unsaved:
        lost: list[Line] = [(Span("  all its work is committed", "good"),)]
    else:
        shown = ", ".join(inert(path) for path in unsaved[:MOST_PATHS])
        more = f" and {len(unsaved) - MOST_PATHS} more" if len(unsaved) > MOST_PATHS else ""
        lost = [(Span(f"  not committed: {shown}{more}", "warn"),)]
    rescue = f"refs/aegis/rescue/{item.run}/{item.instance_id}/1" if item.run else "a rescue ref"
    saved: Line = (Span("  saved first in ", "muted"), Span(rescue, "accent"))
    after: Line = (Span(f"  {_successor(item, piece)}", "muted"),)
    return [head, *lost, *([saved] if unsaved else []), after, ()]


def _successor(item: Instance, piece: Piece | None) -> str:
    if piece is not None and piece.status is PieceStatus.APPLIED:
        return "its piece is merged already"
    return f"a new {item.role} gets its task" if item.run else "no other agent takes its place"
