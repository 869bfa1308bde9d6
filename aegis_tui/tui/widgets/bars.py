"""The bars above and below the board: the run, a banner if the hub is away, the model server and the keys."""

from __future__ import annotations

from typing import ClassVar

from aegis_tui.domain.boundary import boundary_word
from aegis_tui.domain.need import needs
from aegis_tui.domain.run.boundary import boundary_of
from aegis_tui.tui.desk import Desk
from aegis_tui.tui.keys import KeyNames
from aegis_tui.tui.store import CATCHING_UP, NO_HUB
from aegis_tui.tui.text import Line, Span, fit, inert, line_width
from aegis_tui.tui.views.run import gate_line, meter_line, stage_spans, title_line
from aegis_tui.tui.views.small import small_lines
from aegis_tui.tui.widgets.line_view import LineView

NO_SERVER = "no model server in use"
SPARE = frozenset({"v", "/", "tab"})
"""Keys that are left out of the bottom line first if room is short; the help (`?`) lists all keys."""


class TopBar(LineView):
    """The bar at the top, of three lines: repository and goal, the stages, and what the run waits for."""

    LISTENS: ClassVar[frozenset[str]] = frozenset({"run", "instance", "partition", "connection"})
    DEFAULT_CSS = """
    TopBar { dock: top; height: 3; background: $panel; overflow: hidden; scrollbar-gutter: auto; }
    """

    def __init__(self, desk: Desk) -> None:
        super().__init__(name_id="top")
        self._desk = desk

    def update_from_store(self) -> None:
        """Show the goal and the stages of the run, and what it waits for.

        Before the hub's state was read, show that it is being read, or that no hub is running.
        """
        parts, store = self._desk.parts, self._desk.store
        run, needed, width = store.run, needs(store.workspace), self.line_width
        boundary = self._boundary()
        if not store.is_loaded:
            quiet = CATCHING_UP if store.is_catching_up else ""
            title = title_line(parts.root.name, parts.branch, None, [], width=width, boundary=boundary, no_goal=quiet)
            self.show_lines([title, stage_spans(None, width=width), self._start_line(width)])
            return
        gate = gate_line(store.workspace, run, needed, width=width, keys=self._desk.keys)
        stages = stage_spans(run, width=width)
        title = title_line(parts.root.name, parts.branch, run, needed, width=width, boundary=boundary)
        self.show_lines([title, stages, gate])

    def _boundary(self) -> str:
        """Return the boundary of the run in a few words; without one, that of the settings."""
        run, settings = self._desk.store.run, self._desk.parts.settings
        if run is not None:
            return boundary_of(run)["word"]
        return boundary_word("none" if settings.sandbox == "off" else "", settings.boundary)

    def _start_line(self, width: int) -> Line:
        keys = self._desk.keys
        words = (
            CATCHING_UP
            if self._desk.store.is_catching_up
            else f"press {keys['n']} to enter a goal, which also starts a hub; {keys['?']} for help"
        )
        return (Span(fit(f" {words}", width), "muted"),)

    def on_resize(self) -> None:
        """Draw the lines again, cut to the new width."""
        self.update_from_store()


class SmallView(LineView):
    """A view that the dashboard shows in place of the board if the terminal is too small for that."""

    LISTENS: ClassVar[frozenset[str]] = frozenset({"run", "instance", "lock", "partition", "connection"})
    DEFAULT_CSS = """
    SmallView { display: none; scrollbar-gutter: auto; }
    SmallView.-shown { display: block; }
    """

    def __init__(self, desk: Desk) -> None:
        super().__init__(name_id="small")
        self._desk = desk

    def update_from_store(self) -> None:
        """Show that the terminal is too small, what needs the person, and a line per running instance."""
        store, size = self._desk.store, self.app.size
        open_needs = needs(store.workspace)
        shape = (size.width, size.height)
        self.show_lines(small_lines(store.workspace, store.run, open_needs, size=shape, keys=self._desk.keys))


class Banner(LineView):
    """A line that says that the state shown is not the hub's current one, and why; hidden while it is."""

    LISTENS: ClassVar[frozenset[str]] = frozenset({"connection"})
    DEFAULT_CSS = """
    Banner {
        dock: top;
        height: 1;
        margin-top: 3;
        display: none;
        background: $panel;
        overflow: hidden;
        scrollbar-gutter: auto;
    }
    Banner.-shown { display: block; }
    """

    def __init__(self, desk: Desk) -> None:
        super().__init__(name_id="banner")
        self._desk = desk

    def update_from_store(self) -> None:
        """Hide the line while the state is the hub's current one; otherwise show it with the reason."""
        store, keys = self._desk.store, self._desk.keys
        self.set_class(not store.is_current, "-shown")
        if store.trouble:
            words = f"cannot catch up with the hub ─ {inert(store.trouble)}"
        elif store.is_catching_up:
            words = f"{CATCHING_UP} …{' what you see is the last known state' if store.is_loaded else ''}"
        elif store.was_connected:
            words = f"the hub does not answer, retrying ─ {keys['R']} starts it again ─ shown: its last known state"
        else:
            words = f"{NO_HUB} ─ {keys['R']} or a new goal ({keys['n']}) starts one{self._past()}"
        self.show_lines([(Span(fit(f" {words}", self.line_width), "warn"),)])

    def _past(self) -> str:
        count, key = self._desk.past_runs, self._desk.keys["o"]
        if not count:
            return ""
        return f" ─ {key} shows {count} past run{'' if count == 1 else 's'}"

    def on_resize(self) -> None:
        """Draw the line again, cut to the new width."""
        self.update_from_store()


class BottomBar(LineView):
    """The bar at the bottom, with the figures of the model server and the most important keys of the screen."""

    LISTENS: ClassVar[frozenset[str]] = frozenset({"meters", "run", "connection"})
    DEFAULT_CSS = """
    BottomBar { dock: bottom; height: 2; background: $panel; overflow: hidden; scrollbar-gutter: auto; }
    """

    def __init__(self, desk: Desk, keys: tuple[tuple[str, str, str], ...], *, names: KeyNames | None = None) -> None:
        """Create the bar.

        Args:
            desk: What the session works with.
            keys: Default key, word, and the Textual action of a click, for each key, the most important first.
            names: How the keys are named where the bar is; as on the dashboard when None.
        """
        super().__init__(name_id="bottom")
        self._desk, self._keys, self._names = desk, keys, names or desk.keys

    def update_from_store(self) -> None:
        """Show the hint of the desk, if it has one, and below it the figures of the model server and the keys.

        These stand on one line if both fit and it has at least 140 cells, else on two.
        """
        store, width = self._desk.store, self.line_width
        run = store.run
        meters = meter_line(
            store.meters,
            scripted=run is not None and run.facts.scripted,
            model=run.facts.model if run is not None else None,
            absent=self._desk.endpoint or NO_SERVER,
            width=width,
        )
        keys = self._key_line(width)
        used = sum(len(span.text.rstrip()) for span in meters)
        gap = width - line_width(meters) - line_width(keys)
        is_one = gap >= 2 and width >= 140 and used > 0
        lines = [(*meters, Span(" " * gap), *keys)] if is_one else [meters, keys]
        hint = self._desk.offer.hint
        self.styles.height = len(lines) + bool(hint)
        self.show_lines([*([(Span(fit(f" {hint}", width), "info"),)] if hint else []), *lines])

    def _key_line(self, width: int) -> Line:
        """Return a line with the keys that fit in `width` cells, in the order in which they were given.

        Those in `SPARE` are left out first, then the last ones.
        """
        kept = list(self._keys)
        while kept and sum(len(self._names[key]) + len(word) + 3 for key, word, _ in kept) > width - 1:
            kept.remove(next((item for item in reversed(kept) if item[0] in SPARE), kept[-1]))
        spans: list[Span] = [Span(" ")]
        for key, word, action in kept:
            spans += [Span(self._names[key], "accent", action), Span(f" {word}  ", "muted", action)]
        return tuple(spans)

    def on_resize(self) -> None:
        """Draw the lines again, for the new width."""
        self.update_from_store()
