"""What a terminal too small for the dashboard still shows: that it is, what needs the person, and who is at work."""

from __future__ import annotations

from aegis_tui.domain.run.model import Run
from aegis_tui.domain.workspace import Workspace
from aegis_tui.tui.text import Line, Span, fit, wrap
from aegis_tui.tui.views.instance import listed, state_of
from aegis_tui.tui.views.need import Need

LEAST_WIDTH, LEAST_HEIGHT = 60, 16
"""Cells that the narrowest view of the dashboard needs."""


def is_too_small(width: int, height: int) -> bool:
    """Whether tables would be cut to nothing."""
    return width < LEAST_WIDTH or height < LEAST_HEIGHT


def small_lines(workspace: Workspace, run: Run | None, needed: list[Need], *, size: tuple[int, int]) -> list[Line]:
    """Needs first, each in full; then one line for each instance that lives.

    Args:
        workspace: The mirror.
        run: Whose instances are listed.
        needed: What waits for the person.
        size: Cells of the terminal.
    """
    width = max(8, size[0] - 2)
    lines: list[Line] = [
        (Span(f" {text}", "muted"),)
        for text in wrap(f"{size[0]}×{size[1]} is too small, the dashboard needs {LEAST_WIDTH}×{LEAST_HEIGHT}", width)
    ]
    for need in needed:
        lines += [(Span(f" {text}", "warn"),) for text in wrap(f"⚑ {need.words}", width)]
    if needed:
        lines.append((Span(fit(" press ! to answer", width), "accent", "screen.next_need"),))
    for item in listed(workspace, run):
        if item.is_alive:
            state = state_of(workspace, item)
            words = fit(f"{item.piece or item.task} {state.word}", max(0, width - 8))
            lines.append((Span(f" {state.glyph} ", state.ink), Span(fit(item.instance_id, 5), "strong"), Span(words)))
    return lines
