"""The least that Textual itself costs, for `tui.py` to compare with: `bare.py label` or `bare.py log`.

`label` shows one label; `j` and `k` change it. `log` writes the lines of all panes into one RichLog.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from typing import ClassVar

from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import BindingType
from textual.widgets import Label, RichLog

PANES = 50
LINES_PER_S = 20
KEPT_LINES = 2_000
"""What the log keeps: as many as a person scrolls back; one that grows for ever would measure its growth."""


def line_of(pane: int, number: int) -> str:
    """What a pane prints, with its colours, as the benchmark of the dashboard has it."""
    return f"\x1b[32m{number:06d}\x1b[0m pane {pane}: 열 reads src/module_{number % 97}.py"


class BareLabel(App[None]):
    """One label that a key changes."""

    BINDINGS: ClassVar[list[BindingType]] = [("j", "step(1)", "next"), ("k", "step(-1)", "previous")]

    def compose(self) -> ComposeResult:
        """One label."""
        yield Label("bare w01 free now")

    def on_mount(self) -> None:
        """Nobody has pressed a key yet."""
        self._at = 1

    def action_step(self, by: int) -> None:
        """Show the number before or after."""
        self._at += by
        self.query_one(Label).update(f"bare w{self._at:02d} free now")


class BareLog(App[None]):
    """One log into which the lines of every pane go as they come."""

    def compose(self) -> ComposeResult:
        """One log."""
        yield RichLog(max_lines=KEPT_LINES)

    def on_mount(self) -> None:
        """Write for ever."""
        self._numbers: Iterator[int] = itertools.count()
        self.set_interval(1 / LINES_PER_S, self._write)

    def _write(self) -> None:
        number, log = next(self._numbers), self.query_one(RichLog)
        for pane in range(PANES):
            log.write(Text.from_ansi(line_of(pane, number)))


if __name__ == "__main__":
    {"label": BareLabel, "log": BareLog}[sys.argv[1]]().run()
