"""Saves what the pane of an instance showed last: its last lines for the log, all of it in a file (FLOW-10).

A pane is closed with its instance; without this module the reason why a program ended would be lost.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Sequence
from pathlib import Path

from aegis_tui.domain.cause import ended
from aegis_tui.errors import AegisError
from aegis_tui.ports.terminal import Terminal
from aegis_tui.sdk.private_file import write_private

_log = logging.getLogger(__name__)

HISTORY_LINES = 5000
"""How many lines of a pane's history are saved."""
WORD_LINES = 6
WORD_CHARS = 1500
"""The most lines and characters of an instance's last words in the log."""
_STYLE = re.compile(r"\x1b\[[0-9;:]*m")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_TMUX_OWN = "Pane is dead"


def plain_lines(lines: Sequence[str]) -> list[str]:
    """Return each line of a screen as plain text: no colours, no control characters, no trailing blanks."""
    return [_CONTROL.sub("", _STYLE.sub("", line)).rstrip() for line in lines]


def whole_lines(lines: Sequence[str], width: int) -> list[str]:
    """Join the lines that the terminal wrapped: a line that is exactly `width` long continues in the next one.

    Args:
        lines: The lines of a screen, as plain text.
        width: The width of the screen, in characters.
    """
    whole: list[str] = []
    is_open = False
    for line in lines:
        if is_open:
            whole[-1] += line
        else:
            whole.append(line)
        is_open = len(line) == width
    return whole


def last_words(lines: Sequence[str]) -> str:
    """Return the last lines of a screen that are not blank as plain text, six lines and 1,500 characters at most.

    tmux's own line about a dead pane is left out, and of a longer text the middle. May be empty.
    """
    said = [line for line in plain_lines(lines) if line.strip() and not line.startswith(_TMUX_OWN)]
    return ended("\n".join(said[-WORD_LINES:]), WORD_CHARS)


class LastScreens:
    """Reads and saves the content of panes before they are closed.

    Args:
        terminal: The workspace's panes.
        logs_dir: The folder for the saved screens, one `<id>.log` per instance.
    """

    def __init__(self, terminal: Terminal, logs_dir: Path) -> None:
        self._terminal, self._logs_dir = terminal, logs_dir

    async def words(self, instance: str) -> str:
        """Return the last lines in the pane of an instance that are not blank, at most six (see `last_words`).

        They are one text of 1,500 characters at most. Empty if there are none, if it has no pane, or if tmux does not
        answer.
        """
        return last_words(await self._lines(instance, 100))

    async def keep(self, instance: str) -> None:
        """Write what the pane of an instance shows to its log file; do nothing if there is no pane or no text in it.

        That is plain text: up to 5,000 lines of its history, then its screen. Raises nothing: a failure is logged.
        """
        text = "\n".join(await self._lines(instance, HISTORY_LINES)).strip("\n")
        if not text:
            return
        path = self._logs_dir / f"{instance}.log"
        try:
            await asyncio.to_thread(write_private, path, text + "\n")
        except OSError as error:
            _log.warning("the last screen could not be saved", extra={"path": str(path), "reason": str(error)})

    async def lines(self, instance: str) -> Sequence[str]:
        """Return what an instance's pane holds as plain text: up to 5,000 lines of its history, then its screen.

        Wrapped lines are joined. Empty without a pane, or if tmux does not answer.
        """
        return await self._lines(instance, HISTORY_LINES)

    async def _lines(self, instance: str, history: int) -> Sequence[str]:
        try:
            pane = await self._terminal.find_pane(instance)
            if pane is None:
                return ()
            shown = await self._terminal.capture([pane.pane_id], history)
        except AegisError as error:
            _log.info("a pane cannot be read", extra={"aegis_instance": instance, "reason": error.message})
            return ()
        screenshot = shown.get(pane.pane_id)
        return whole_lines(plain_lines(screenshot.lines), screenshot.width) if screenshot else ()
