"""A dialog with what a piece changes, in which the person comments on lines and sends all comments (WISH-2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Label

from aegis_tui.domain.count import counted
from aegis_tui.domain.ids import instance_id
from aegis_tui.domain.model import Key
from aegis_tui.domain.review.comment import LineComment
from aegis_tui.domain.review.diff import DiffLine
from aegis_tui.domain.wire.reply import CommentsSentReply
from aegis_tui.errors import UsageError
from aegis_tui.tui.desk import Desk
from aegis_tui.tui.screens.base import Dialog
from aegis_tui.tui.text import inert
from aegis_tui.tui.views.diff import COMMENT, diff_rows
from aegis_tui.tui.widgets.line_view import LinePanel
from aegis_tui.tui.widgets.prompt import PromptArea

QUOTE_CHARACTERS = 500
"""How much of a line goes with a comment on it."""


class CommentScreen(Dialog[str | None]):
    """A dialog in which the person types a comment; its result is the text, or None for none.

    Args:
        desk: What the session works with.
        line: The line that it is about.
    """

    CSS_PATH = "dialog.tcss"

    def __init__(self, desk: Desk, line: DiffLine) -> None:
        super().__init__(desk)
        self._line = line

    def compose(self) -> ComposeResult:
        """Yield a frame with the place as its title, and in it the line, a text box and the keys."""
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = f"Comment on {inert(self._line.file)}:{self._line.line}"
            yield Label(inert(self._line.text.expandtabs(4)), classes="muted", markup=False)
            yield PromptArea("", id="text")
            yield Label("enter keep   ctrl+j new line   esc back", classes="keys", markup=False)

    def on_prompt_area_submitted(self, message: PromptArea.Submitted) -> None:
        """Close the dialog with the text, or with None if it is blank."""
        self.dismiss(message.text if message.text.strip() else None)


class DiffList(LinePanel):
    """The lines of a diff with a cursor, and the comments that wait."""

    NAME = "diff"
    TITLE = "Lines"
    EMPTY = ("this piece changes nothing",)

    def __init__(self, lines: Sequence[DiffLine]) -> None:
        super().__init__(name_id="diff")
        self.lines = lines
        self.comments: Sequence[LineComment] = ()

    def update_comments(self, comments: Sequence[LineComment]) -> None:
        """Show these comments below their lines."""
        self.comments = comments
        self.attempt(self._fill)

    def on_resize(self) -> None:
        """Cut the lines to the new width."""
        self.attempt(self._fill)

    def _fill(self) -> None:
        self.show(diff_rows(self.lines, self.comments, width=self.line_width))

    @property
    def current_line(self) -> DiffLine | None:
        """The line of a file under the cursor; None for a heading, a comment, or nothing."""
        key = self.cursor_key
        line = self.lines[int(key)] if key.isdecimal() else None
        return line if line is not None and line.can_be_commented else None

    @property
    def current_comment(self) -> int | None:
        """The number of the comment under the cursor; None for a line."""
        key = self.cursor_key
        return int(key.removeprefix(COMMENT)) if key.startswith(COMMENT) else None

    def go_to_file(self) -> None:
        """Move the cursor to the heading of the next file, after the last one to the first."""
        heads = [key for key, item in enumerate(self.lines) if item.kind == "file"]
        now = next((int(row.key) for row in self.rows[self.cursor :] if row.key.isdecimal()), 0)
        if heads:
            self.move_to(str(next((head for head in heads if head > now), heads[0])))


class DiffScreen(Dialog[None]):
    """A dialog with the diff of a piece; its keys comment on the line under the cursor, and send all comments.

    Args:
        desk: What the session works with.
        run: The id of the run.
        piece: The name of the piece.
        lines: Its diff.
    """

    CSS_PATH = "dialog.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "c,enter",
            "comment",
            "Comment",
            id="diff.comment",
            priority=True,
            tooltip="Comment on the line under the cursor (review comment PIECE FILE:LINE TEXT).",
        ),
        Binding("S", "send", "Send", id="diff.send", tooltip="Send all comments to its agent (review send PIECE)."),
        Binding("x", "discard", "Discard", id="diff.discard", tooltip="Discard this comment (review discard PIECE N)."),
        Binding("n", "next_file", "Next file", id="diff.next-file", tooltip="Go to the next file."),
        Binding("q", "leave", "Back", id="diff.back", show=False, tooltip="Go back; comments are kept."),
    ]

    def __init__(self, desk: Desk, run: str, piece: str, lines: Sequence[DiffLine]) -> None:
        super().__init__(desk)
        self._run, self._piece = run, piece
        self._list = DiffList(lines)

    def compose(self) -> ComposeResult:
        """Yield a frame with the list, and the keys in its border."""
        with Vertical(classes="dialog -wide") as dialog:
            dialog.border_title = self._words(0)
            dialog.border_subtitle = "c comment · S send all · x discard · n next file · esc back"
            yield self._list

    def on_mount(self) -> None:
        """Give the list the focus, and subscribe to changes of the store."""
        self.desk.store.changed.subscribe(self, self._changed)
        self._list.focus()
        self._show_comments()

    def _changed(self, keys: frozenset[Key]) -> None:
        if any(kind in ("run", "connection") for kind, _ in keys):
            self._show_comments()

    def _show_comments(self) -> None:
        run = self.desk.store.workspace.runs.by_id.get(self._run)
        comments = run.comments_on(self._piece) if run else []
        self._list.update_comments(comments)
        self.query_one(".dialog").border_title = self._words(len(comments))

    def _words(self, comments: int) -> str:
        waiting = f", {counted(comments, 'comment')} to send" if comments else ""
        return f"What {inert(self._piece)} changes{waiting}"

    @work(group="comment", exclusive=True)
    async def action_comment(self) -> None:
        """Ask for a comment on the line under the cursor and keep it; show an error if the cursor is on no line."""
        line = self._list.current_line
        if line is None:
            self.desk.complain(UsageError("this is not a line of a file", "move the cursor to a line"))
            return
        if text := await self.app.push_screen_wait(CommentScreen(self.desk, line)):
            await self.desk.command(
                "review:comment",
                piece=self._piece,
                file=line.file,
                line=line.line,
                text=text,
                quote=line.text[:QUOTE_CHARACTERS],
            )

    @work(group="comment", exclusive=True)
    async def action_discard(self) -> None:
        """Discard the comment under the cursor; show an error if there is none."""
        number = self._list.current_comment
        if number is None:
            self.desk.complain(UsageError("there is no comment here", "move the cursor to a comment"))
        else:
            await self.desk.command("review:discard", piece=self._piece, numbers=[number])

    @work(group="comment", exclusive=True)
    async def action_send(self) -> None:
        """Send all comments on the piece to its agent as one prompt, and say so; if none waits, show the error."""
        sent = await self.desk.reply(CommentsSentReply, "review:send", piece=self._piece)
        if sent is not None:
            count = counted(int(sent["comments"]), "comment")
            self.desk.tell(f"{instance_id(sent['agent_id'])} gets them as one prompt", title=f"sent {count}")

    def action_next_file(self) -> None:
        """Move the cursor to the next file."""
        self._list.go_to_file()
