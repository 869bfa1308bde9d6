"""What is shown if the terminal is too small for the dashboard: that it is, what needs the person, who is running."""

from __future__ import annotations

from aegis_tui.domain.need import Need
from aegis_tui.domain.run.model import Run
from aegis_tui.domain.workspace import Workspace
from aegis_tui.tui.keys import DEFAULT_KEYS, KeyNames
from aegis_tui.tui.text import Line, Span, fit, wrap
from aegis_tui.tui.views.instance import listed, state_of

LEAST_WIDTH, LEAST_HEIGHT = 60, 16
"""The smallest terminal for the dashboard, in columns and lines."""


def is_too_small(width: int, height: int) -> bool:
    """Return whether a terminal of so many columns and lines is too small for the dashboard: below 60 × 16."""
    return width < LEAST_WIDTH or height < LEAST_HEIGHT


def small_lines(
    workspace: Workspace,
    run: Run | None,
    needed: list[Need],
    *,
    size: tuple[int, int],
    keys: KeyNames = DEFAULT_KEYS,
) -> list[Line]:
    """Return the lines for a small terminal: its size, every need in full, and a line per running instance.

    There may be more than fit into the terminal.

    Args:
        workspace: The state.
        run: The run whose instances are listed; None for none. Running instances outside a run are listed too.
        needed: What waits for the person, most urgent first.
        size: Columns and lines of the terminal.
        keys: The names of the keys that the lines mention.
    """
    width = max(8, size[0] - 2)
    lines: list[Line] = [
        (Span(f" {text}", "muted"),)
        for text in wrap(f"{size[0]}×{size[1]} is too small: the dashboard needs {LEAST_WIDTH}×{LEAST_HEIGHT}", width)
    ]
    for need in needed:
        lines += [(Span(f" {text}", "warn"),) for text in wrap(f"⚑ {need.words}", width)]
    if needed:
        lines.append((Span(fit(f" press {keys['!']} to answer", width), "accent", "screen.next_need"),))
    for item in listed(workspace, run):
        if item.is_alive:
            state = state_of(workspace, item)
            words = fit(f"{item.piece or item.task} {state.word}", max(0, width - 8))
            lines.append((Span(f" {state.glyph} ", state.ink), Span(fit(item.instance_id, 5), "strong"), Span(words)))
    return lines
