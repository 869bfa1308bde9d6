"""A dialog with everything that waits for the person, oldest first, each with what answers it (WISH-8)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical

from aegis_tui.domain.answer import answers_to
from aegis_tui.domain.model import Key
from aegis_tui.domain.need import EMPTY, Need, needs, waiting_since
from aegis_tui.tui.desk import Desk
from aegis_tui.tui.screens.base import Dialog
from aegis_tui.tui.text import Line, Row, Span, clock_text, fit, wrap
from aegis_tui.tui.widgets.line_view import LinePanel, LineView

VERBS: Mapping[str, str] = {
    "design": "answer",
    "instance": "answer",
    "permission": "answer",
    "scope": "answer",
    "rule": "answer",
    "base": "accept",
    "piece": "leave out",
    "partial": "leave out",
    "machine": "see why",
    "halted": "continue",
    "ended": "read",
    "spec": "try again",
    "done": "read",
}
"""Kind of need -> what Enter does."""

Waiting = Sequence[tuple[Need, str | None]]
"""What waits, each with since when (RFC 3339 UTC), or None if that is not known."""


class InboxList(LinePanel):
    """A list with one row per need, oldest first."""

    NAME = "inbox"
    TITLE = "Waiting for you"
    EMPTY = EMPTY

    def __init__(self, *, now: Callable[[], datetime], moved: Callable[[], None]) -> None:
        super().__init__(name_id="inbox")
        self._items: Waiting = ()
        self._now, self.moved = now, moved

    def on_resize(self) -> None:
        """Cut the lines to the new width."""
        self.attempt(self._fill)

    def fill(self, items: Waiting) -> None:
        """Show these needs; the cursor stays on its need while that is among them."""
        self._items = items
        self._fill()

    def _fill(self) -> None:
        self.titled(len(self._items) or "")
        now, width = self._now(), self.line_width
        self.show([Row(row_key(need), need_line(need, since, now, width)) for need, since in self._items])


def row_key(need: Need) -> str:
    """Return the key of a need's row in the list, which no other row has: its kind and its key."""
    return f"{need.kind} {need.key}"


def need_line(need: Need, since: str | None, now: datetime, width: int) -> Line:
    """Return one line of `width` cells: how long it has waited, what waits, and what Enter does.

    `since` is RFC 3339 UTC, else ValueError; None, when the events that are kept do not go back so far, leaves the time
    empty.
    """
    waited = "" if since is None else clock_text(max(0.0, (now - datetime.fromisoformat(since)).total_seconds()))
    verb = VERBS[need.kind]
    room = max(0, width - 10 - len(verb) - 1)
    return (Span(f"{waited:>8}  ", "muted"), Span(fit(need.words, room), "warn"), Span(f" {verb}", "muted"))


def answer_lines(need: Need, width: int, height: int) -> list[Line]:
    """Return the sentence of a need, and for each answer the command line that gives it, and what it does.

    No line has more than `width` cells. If all have no room in `height` lines, the sentence is cut, with `…` at its
    end: the answers and one line of it are always whole.
    """
    answers: list[Line] = []
    for item in answers_to(need):
        first, *rest = wrap(f"{item.twin(need)}: {item.words}", max(8, width - 4))
        answers += [(Span(f"  {first}", "muted"),), *((Span(f"    {part}", "muted"),) for part in rest)]
    parts, room = wrap(need.words, width), max(1, height - len(answers))
    if len(parts) > room:
        parts = [*parts[: room - 1], fit(" ".join(parts[room - 1 :]), width)]
    gap: list[Line] = [()] if len(parts) < room else []
    return [*((Span(part),) for part in parts), *gap, *answers]


class AnswerView(LineView):
    """The need under the cursor in full, and the commands that answer it in a shell."""

    LEAST = 8
    """Its height in lines, unless a need with its answers has more."""
    DEFAULT_CSS = f"AnswerView {{ height: {LEAST}; padding: 0 1; }}"


class InboxScreen(Dialog[None]):
    """A dialog to choose what to answer. It stays open below what answers a need, and follows the state.

    Args:
        desk: What the session works with.
        answer: Opens what answers a need; called with the one that is chosen.
    """

    CSS_PATH = "dialog.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "leave", "Back", id="inbox.back", show=False, tooltip="Go back."),
    ]

    def __init__(self, desk: Desk, answer: Callable[[Need], None]) -> None:
        super().__init__(desk)
        self._answer = answer
        self._by_key: dict[str, Need] = {}
        self._list = InboxList(now=desk.store.now, moved=self._show_answers)
        self._answers = AnswerView(name_id="inbox-answers")

    def compose(self) -> ComposeResult:
        """Yield a frame with the list, and below it the need under the cursor with its answers."""
        with Vertical(classes="dialog -wide") as dialog:
            dialog.border_title = "Waiting for you, oldest first"
            dialog.border_subtitle = "enter answer · esc back"
            yield self._list
            yield self._answers

    def on_mount(self) -> None:
        """Give the list the focus, and follow the state from now on."""
        self.desk.store.changed.subscribe(self, self._listen)
        self._fill()
        self._list.focus()

    def on_resize(self) -> None:
        """Wrap the answers to the new width."""
        self._show_answers()

    def _listen(self, keys: frozenset[Key]) -> None:
        if any(kind != "shot" for kind, _ in keys):
            self._list.attempt(self._fill)

    def _fill(self) -> None:
        store = self.desk.store
        since = waiting_since(store.events)
        items = [(need, since.get((need.kind, need.key))) for need in needs(store.workspace)]
        self._by_key = {row_key(need): need for need, _ in items}
        self._list.fill(sorted(items, key=lambda item: item[1] or ""))
        self._show_answers()

    def _show_answers(self) -> None:
        need = self._by_key.get(self._list.cursor_key)
        view, room = self._answers, max(AnswerView.LEAST, self.size.height // 2)
        lines = answer_lines(need, max(8, view.line_width), room) if need else []
        view.styles.height = max(AnswerView.LEAST, len(lines))
        view.show_lines(lines)

    @on(LinePanel.Chosen)
    def _choose(self, message: LinePanel.Chosen) -> None:
        if need := self._by_key.get(message.key):
            self._answer(need)
