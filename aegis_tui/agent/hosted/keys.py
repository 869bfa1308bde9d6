"""Reads what a person types into the pane: unsent text, Enter, interrupts, and the key that submits the work (PANE-4).

The program gets everything but that last key.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Collection

SUBMIT_KEY = b"\x1d"
"""Ctrl-], which no program gets. It is the prefix key of the panes too, so a person presses it twice."""
_CTRL_C = b"\x03"
_ENTER = frozenset(b"\r\n")
_ENDS_DRAFT = frozenset(b"\r\n\x03\x04\x15")
"""Enter, Ctrl-C, Ctrl-D and Ctrl-U: what was typed is sent or removed."""
_PASTE = re.compile(rb"(\x1b\[20[01]~)")
_CUT = re.compile(rb"\x1b\[[0-?]*\Z")
"""The beginning of a sequence, the rest of which comes with the next read."""
SEQUENCE = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]P_^X].*?(?:\x07|\x1b\\)|O.|.)", re.DOTALL)
"""What a terminal sends beside typed text: its answers to the program's questions, movements, keys without a text."""


class PersonKeys:
    """What a person has typed into the program so far.

    Args:
        interrupts: The keys that end the program's turn, each as the terminal sends it; Ctrl-C always does.
    """

    def __init__(self, interrupts: Collection[str]) -> None:
        keys = {_CTRL_C, *(key.encode() for key in interrupts)}
        self._interrupt = re.compile(b"(?:%s)+" % b"|".join(map(re.escape, keys)))
        self._is_pasting = False
        self._cut = b""
        self.no_draft = asyncio.Event()
        """Set while a person has typed nothing that is not sent yet, and once the program has ended."""
        self.no_draft.set()
        self.entered = 0
        """How often they have pressed Enter; line ends in what they pasted do not count."""
        self.entered_at = 0.0
        """When they have pressed Enter last, by the monotonic clock."""
        self.interrupts = 0
        """How often they have pressed a key that ends the program's turn."""
        self.interrupts_at_enter = 0
        """The value of `interrupts` when they pressed Enter last."""
        self.asks_submission = False
        """Set when they press the key that submits the work; whoever acts on it clears it."""

    def take(self, data: bytes) -> bytes:
        """Note in the attributes what was read from the pane; return what the program is to get of it.

        That is all but the submit key (Ctrl-]) where it was typed. Nothing is held back: a sequence that is split over
        two calls is returned in two parts.
        """
        text, self._cut = self._cut + data, b""
        if cut := _CUT.search(text):
            text, self._cut = text[: cut.start()], cut[0]
        has_submit_key = False
        for part in _PASTE.split(text):
            if _PASTE.fullmatch(part):
                self._is_pasting = part == b"\x1b[200~"
            elif self._is_pasting and part:
                self.no_draft.clear()
            else:
                has_submit_key = has_submit_key or SUBMIT_KEY in part
                self._typed(part)
        self.asks_submission = self.asks_submission or has_submit_key
        return data.replace(SUBMIT_KEY, b"") if has_submit_key else data

    def _typed(self, keys: bytes) -> None:
        self.interrupts += self._interrupt.fullmatch(keys) is not None
        for byte in SEQUENCE.sub(b"", keys):
            if byte in _ENTER:
                self.entered, self.entered_at = self.entered + 1, time.monotonic()
                self.interrupts_at_enter = self.interrupts
            if byte in _ENDS_DRAFT:
                self.no_draft.set()
            elif byte >= 0x20:
                self.no_draft.clear()
