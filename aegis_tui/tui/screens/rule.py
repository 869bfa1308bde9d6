"""Asks the person about what the merge rules found in a piece, and sends the answer (FLOW-9)."""

from __future__ import annotations

from aegis_tui.domain.need import Need
from aegis_tui.tui.screens.base import WorkspaceScreen
from aegis_tui.tui.screens.stop import ConfirmScreen
from aegis_tui.tui.text import inert

MOST_SHOWN = 8


async def answer_rule(screen: WorkspaceScreen, need: Need) -> None:
    """Ask whether what a piece waits for is allowed, and send the answer, yes or no.

    Nothing is sent if the person leaves the question open, or the piece does not wait any more.

    Args:
        screen: The screen on which the question is asked.
        need: Its `key` is the name of the piece.
    """
    run = screen.desk.store.workspace.runs.current()
    piece = run.pieces.get(need.key) if run else None
    held = run.held_findings(piece) if run and piece else []
    if run is None or not held:
        return
    lines = [f"{inert(item.file)}: {inert(item.msg)} ({item.rule})" for item in held[:MOST_SHOWN]]
    if len(held) > MOST_SHOWN:
        lines.append(f"and {len(held) - MOST_SHOWN} more: aegis-tui rules findings")
    lines.append("With yes this content may be merged; with no the piece goes back to its worker.")
    answer = await screen.app.push_screen_wait(ConfirmScreen(screen.desk, f"Allow this in {need.key}?", lines))
    if answer:
        await screen.desk.command("rule:allow", run=run.run, keys=[item.key for item in held])
    elif answer is False:
        await screen.desk.command("rule:refuse", run=run.run, piece=need.key)
