"""Typing a prompt into a pane: exactly, once, and with an honest answer about what became of it (PANE-4)."""

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
"""A terminal in line mode loses a longer line, line break included (measured: 6,000 characters were cut)."""
SHOWN_DEADLINE_S = 2.0
SUBMITTED_DEADLINE_S = 1.0
_SETTLED_S = 0.3
_POLL_S = 0.05
_TAIL_CHARS = 16
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def clean_text(text: str) -> str:
    r"""Text that cannot act as keys: CRLF becomes LF; ESC, other controls but \t and \n, DEL and C1 go.

    A lone CR, which is Enter to a program, goes too, so that nothing in a paste submits it or ends its frame.
    """
    return _CONTROLS.sub("", text.replace("\r\n", "\n"))


class Paster:
    """Keys and pastes, one at a time for each pane."""

    def __init__(self, server: TmuxServer, channel: PaneChannel) -> None:
        self._server = server
        self._channel = channel
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def send_keys(self, pane_id: str, *keys: str) -> None:
        """As `Terminal.send_keys`."""
        async with self._locks[pane_id]:
            await self._channel.run("send-keys", "-t", pane_id, "--", *keys, repeatable=False)

    async def paste(self, pane_id: str, text: str) -> Delivery:
        """As `Terminal.paste`."""
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
        """Drop what is kept for a pane that is closed."""
        self._locks.pop(pane_id, None)

    async def _type(self, pane_id: str, text: str, before: Screenshot | None) -> Delivery:
        if not await self._insert(pane_id, text):
            return Delivery.REFUSED
        shown = await self._wait_shown(pane_id, text, before)
        typed = await self._look(pane_id)
        # Sent even when nothing was shown: a prompt that is never submitted would look like a person's draft.
        await self._channel.run("send-keys", "-t", pane_id, "Enter", repeatable=False)
        moved = await self._wait(pane_id, lambda now: now != typed, SUBMITTED_DEADLINE_S)
        return Delivery.DELIVERED if shown and moved else Delivery.UNKNOWN

    async def _insert(self, pane_id: str, text: str) -> bool:
        """Paste the text in one tmux process; the buffer's name is nobody else's and goes with it."""
        name = f"aegis-{secrets.token_hex(8)}"
        load = ["load-buffer", "-b", name, "-"]
        paste = ["paste-buffer", "-d", "-p", "-r", "-b", name, "-t", pane_id]
        reply = await self._server.fork([load, paste], stdin=text.encode("utf-8", "replace"))
        if not reply.ok:
            await self._server.fork([["delete-buffer", "-b", name]])
        return reply.ok

    async def _takes(self, pane: PaneState, text: str) -> bool:
        """False if the pane reads by lines and one of the text's is longer than such a terminal keeps."""
        longest = max(len(line.encode("utf-8", "replace")) for line in text.split("\n"))
        if longest + 1 < CANONICAL_LINE_BYTES:
            return True
        tty = await self._channel.run("display-message", "-p", "-t", pane.pane_id, "#{pane_tty}")
        return not await asyncio.to_thread(is_canonical, tty[0] if tty else "")

    async def _wait_shown(self, pane_id: str, text: str, before: Screenshot | None) -> bool:
        """True once the end of the text is on the screen, or the screen has changed and come to rest.

        The second is for programs that show a long paste as a short note about it.
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
    """True if the terminal device hands its program whole lines only."""
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
