"""Types a prompt into a pane exactly once, and reports whether it was delivered, refused or unknown (PANE-4)."""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import sys
import termios
import time
from collections import defaultdict
from collections.abc import Callable

from aegis_tui.adapters.tmux.channel import PaneChannel
from aegis_tui.adapters.tmux.screen import screen_text, squeeze
from aegis_tui.adapters.tmux.server import TmuxServer
from aegis_tui.errors import TerminalError, TerminalUnavailable
from aegis_tui.ports.terminal import Delivery, PaneState, Screenshot

CANONICAL_LINE_BYTES = 1024 if sys.platform == "darwin" else 4096
"""A terminal in line mode truncates a longer line, including its line end (measured: 6,000 characters were cut)."""
SHOWN_DEADLINE_S = 2.0
SUBMITTED_DEADLINE_S = 1.0
_SETTLED_S = 0.3
_POLL_S = 0.05
_TAIL_CHARS = 16
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def clean_text(text: str) -> str:
    r"""Remove what could act as a key: CRLF becomes LF; ESC, DEL, C1 and all controls except \t and \n are removed.

    A lone CR, which programs read as Enter, is removed too, so that nothing in a paste submits it or ends its frame.
    """
    return _CONTROLS.sub("", text.replace("\r\n", "\n"))


class Paster:
    """Sends keys and pastes, one at a time per pane."""

    def __init__(self, server: TmuxServer, channel: PaneChannel) -> None:
        self._server = server
        self._channel = channel
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def send_keys(self, pane_id: str, *keys: str) -> None:
        """Press keys by name, in order; waits while a paste into the same pane is under way.

        Raises:
            TerminalUnavailable: No server runs.
            TerminalError: The pane is gone, or tmux did not confirm the keys.
        """
        async with self._locks[pane_id]:
            await self._channel.run("send-keys", "-t", pane_id, "--", *keys, repeatable=False)

    async def paste(self, pane_id: str, text: str) -> Delivery:
        """Paste a text of any size, submit it with Enter, and return what happened to it; one at a time per pane.

        Control characters are removed first. An error of tmux does not raise: the result is `REFUSED` if nothing was
        typed, and `UNKNOWN` if something may have been.
        """
        cleaned = clean_text(text)
        async with self._locks[pane_id]:
            try:
                pane = await self._channel.find_pane(pane_id)
                if not cleaned or pane is None or pane.dead or not await self._takes(pane, cleaned):
                    return Delivery.REFUSED
                if pane.in_mode:
                    await self._channel.run("send-keys", "-X", "-t", pane_id, "cancel")
                before = await self._look(pane_id)
            except (TerminalError, TerminalUnavailable):
                return Delivery.REFUSED
            try:
                return await self._type(pane_id, cleaned, before)
            except (TerminalError, TerminalUnavailable):
                return Delivery.UNKNOWN

    def forget(self, pane_id: str) -> None:
        """Delete the lock of a pane that was closed."""
        self._locks.pop(pane_id, None)

    async def _type(self, pane_id: str, text: str, before: Screenshot | None) -> Delivery:
        if not await self._insert(pane_id, text):
            return Delivery.REFUSED
        shown = await self._wait_shown(pane_id, text, before)
        typed = await self._look(pane_id)
        # Enter is sent even if nothing was shown: a prompt that is not submitted would look like a person's draft.
        await self._channel.run("send-keys", "-t", pane_id, "Enter", repeatable=False)
        moved = await self._wait(pane_id, lambda now: now != typed, SUBMITTED_DEADLINE_S)
        return Delivery.DELIVERED if shown and moved else Delivery.UNKNOWN

    async def _insert(self, pane_id: str, text: str) -> bool:
        """Paste the text through a buffer with a unique name, which is then deleted; return False if tmux refuses.

        Raises:
            TerminalUnavailable: tmux is not installed.
            TerminalError: tmux does not answer; something may have been pasted.
        """
        name = f"aegis-{secrets.token_hex(8)}"
        load = ["load-buffer", "-b", name, "-"]
        paste = ["paste-buffer", "-d", "-p", "-r", "-b", name, "-t", pane_id]
        reply = await self._server.fork([load, paste], stdin=text.encode("utf-8", "replace"))
        if not reply.ok:
            await self._server.fork([["delete-buffer", "-b", name]])
        return reply.ok

    async def _takes(self, pane: PaneState, text: str) -> bool:
        """Return False if the pane's terminal reads whole lines and a line of the text is too long for it."""
        longest = max(len(line.encode("utf-8", "replace")) for line in text.split("\n"))
        if longest + 1 < CANONICAL_LINE_BYTES:
            return True
        tty = await self._channel.run("display-message", "-p", "-t", pane.pane_id, "#{pane_tty}")
        return not await asyncio.to_thread(is_canonical, tty[0] if tty else "")

    async def _wait_shown(self, pane_id: str, text: str, before: Screenshot | None) -> bool:
        """Wait until the end of the text is visible, or the screen changed and is stable; return whether it is so.

        The latter is for programs that show a long paste as a short note. False at the deadline or if the pane is gone.

        Args:
            pane_id: The pane.
            text: What was pasted.
            before: What the pane showed before; None if that is not known.
        """
        tail = squeeze(text)[-_TAIL_CHARS:]
        count = screen_text(before).count(tail) if before and tail else 0
        last: Screenshot | None = before
        settled_at = time.monotonic() + _SETTLED_S

        def is_shown(now: Screenshot) -> bool:
            nonlocal last
            at_rest = now == last and now != before and time.monotonic() > settled_at
            last = now
            return at_rest or (bool(tail) and screen_text(now).count(tail) > count)

        return await self._wait(pane_id, is_shown, SHOWN_DEADLINE_S)

    async def _wait(self, pane_id: str, is_so: Callable[[Screenshot], bool], deadline_s: float) -> bool:
        deadline = time.monotonic() + deadline_s
        while time.monotonic() < deadline:
            now = await self._look(pane_id)
            if now is None:
                return False
            if is_so(now):
                return True
            await asyncio.sleep(_POLL_S)
        return False

    async def _look(self, pane_id: str) -> Screenshot | None:
        return (await self._channel.capture([pane_id])).get(pane_id)


def is_canonical(tty: str) -> bool:
    """Return whether the terminal device `tty` passes only whole lines to its program; False if it is no terminal."""
    try:
        descriptor = os.open(tty, os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        return bool(termios.tcgetattr(descriptor)[3] & termios.ICANON)
    except termios.error:
        return False
    finally:
        os.close(descriptor)
