"""An action of the dashboard that opens the diff of a piece (WISH-2)."""

from __future__ import annotations

from typing import ClassVar

from textual import work
from textual.binding import Binding, BindingType

from aegis_tui.domain.piece.model import Piece
from aegis_tui.errors import AegisError
from aegis_tui.tui.screens.past import PastActions
from aegis_tui.tui.widgets.line_view import LinePanel


class DiffActions(PastActions):
    """A screen with an action that opens the diff of the piece under the cursor."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("c", "diff", "Diff", id="run.diff", tooltip="Show what a piece changes; comment (review comment)."),
    ]

    def current_piece(self) -> Piece | None:
        """Return the piece under the cursor of the focused panel, or the one of the instance there; None if none is."""
        panel, run = self.focused, self.desk.store.run
        if run is None or not isinstance(panel, LinePanel):
            return None
        instance = self.desk.store.workspace.get_instance(panel.cursor_key)
        return run.pieces.get(panel.cursor_key if instance is None else instance.piece or "")

    @work(group="look", exclusive=True)
    async def action_diff(self) -> None:
        """Open the diff of the current piece; if there is none, or nothing was submitted, say so."""
        from aegis_tui.domain.review.diff import parse_diff
        from aegis_tui.tui.screens.diff import DiffScreen

        piece, run = self.current_piece(), self.desk.store.run
        if piece is None or run is None:
            self.desk.tell("move the cursor to a piece, or to an instance that builds or reviews one")
        elif piece.base_oid is None or piece.head_oid is None:
            self.desk.tell(f"{piece.name} has not been submitted yet")
        else:
            try:
                text = await self.desk.parts.piece_diff(piece.base_oid, piece.head_oid)
            except AegisError as error:
                self.desk.complain(error)
                return
            self.app.push_screen(DiffScreen(self.desk, run.run, piece.name, parse_diff(text)))
