"""Puts a prompt into the input box of a program's own interface, and says what became of it (PANE-4, AGENT-4).

A prompt counts as delivered only when a request of the program to its model holds it, whole and unchanged.
"""

from __future__ import annotations

import asyncio
import json
import unicodedata
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterator
from contextlib import suppress
from typing import Any

from aegis_tui.agent.hosted.pty_host import PtyHost
from aegis_tui.domain.inert import without_hidden
from aegis_tui.ports.delivery import Delivery
from aegis_tui.sdk.awake import awake_wait

_PASTE_BEGIN, _PASTE_END = b"\x1b[200~", b"\x1b[201~"
_READY_S = 90.0
"""How long a program may take until it shows its input box; the first start of some takes a minute."""
_SHOWN_S = 20.0
_SETTLED_S = 1.0
_ECHO_S = 0.4
_READ_A_SECOND = 50_000
"""Characters of a paste that a program reads in a second, at least; Enter must not come before the paste is read."""
_ARRIVAL_S = 30.0
_HUNG_S = 5.0
"""When a prompt is cancelled while it is typed: after that time, the program counts as one that does not read."""
_POLL_S = 0.05
_KEPT_REQUESTS = 8


class Requests:
    """The bodies of the last requests that the program sent to its model, and how many there were."""

    def __init__(self) -> None:
        self.count = 0
        self._bodies: list[bytes] = []
        self._changed = asyncio.Condition()

    async def add(self, body: bytes) -> None:
        """Record the body of one more request to the model; only the last `_KEPT_REQUESTS` are kept."""
        async with self._changed:
            self.count += 1
            self._bodies = [*self._bodies, body][-_KEPT_REQUESTS:]
            self._changed.notify_all()

    async def more_than(self, count: int, *, timeout_s: float) -> bool:
        """Wait at most `timeout_s` seconds until there were more than `count` requests; return whether there were.

        Counted are all since the start, also those whose bodies are no longer kept.
        """

        async def grown() -> None:
            async with self._changed:
                await self._changed.wait_for(lambda: self.count > count)

        return await _is_done(grown(), timeout_s)

    async def wait_for(self, text: str, *, after: int, timeout_s: float) -> bool:
        """Wait at most `timeout_s` seconds for a request that contains a text; return whether there was one.

        Args:
            text: The text, which must be in it whole and unchanged.
            after: How many requests to skip: the value of `count` before the text was typed.
            timeout_s: The longest wait.
        """

        async def arrived() -> None:
            seen = after
            async with self._changed:
                while True:
                    new = self._bodies[-(self.count - seen) :] if self.count > seen else []
                    if any(holds(body, text) for body in new):
                        return
                    seen = self.count
                    await self._changed.wait()

        return await _is_done(arrived(), timeout_s)


async def _is_done(work: Coroutine[Any, Any, None], timeout_s: float) -> bool:
    """Do the work; return True, or False if it took longer than `timeout_s` seconds and was cancelled.

    Time in which the machine sleeps does not count. Errors of the work are raised.
    """
    try:
        await awake_wait(work, timeout_s)
    except TimeoutError:
        return False
    return True


def holds(body: bytes, text: str) -> bool:
    """Return whether a string in a JSON document contains a text, whole and unchanged but for space at the text's ends.

    False if `body` is not JSON.
    """
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return False
    return any(text.strip() in part for part in _strings(value))


def _strings(value: Any) -> Iterator[str]:
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, dict):
            stack.extend(item.values())
        elif isinstance(item, list):
            stack.extend(item)


def typed_form(text: str, changes: Collection[str] = ()) -> str:
    """Return a prompt as it is typed, without what could act as a key.

    CRLF becomes LF, other controls except tab and LF are removed, and so is space at both ends.

    Args:
        text: The prompt.
        changes: What the program's input box does to a text: with `nfc` it is normalised to NFC, with `tabs` each tab
            becomes four blanks.
    """
    clean = without_hidden(text.replace("\r\n", "\n").replace("\r", ""), keep="\n\t").strip()
    clean = unicodedata.normalize("NFC", clean) if "nfc" in changes else clean
    return clean.replace("\t", "    ") if "tabs" in changes else clean


def _reading_s(text: str) -> float:
    """Return how many seconds a program may take until it has read a pasted text and shows it."""
    return _ECHO_S + len(text) / _READ_A_SECOND


class Typist:
    """Types prompts into one program, one at a time.

    Args:
        host: The program on its terminal.
        requests: What it sends to its model.
        changes: What its input box does to a text, as in `TerminalMode`.
        is_free: Returns once the program works on nothing and no person is typing there; by default, it waits for the
            person only.
    """

    def __init__(
        self,
        host: PtyHost,
        requests: Requests,
        changes: Collection[str] = (),
        is_free: Callable[[], Awaitable[object]] | None = None,
    ) -> None:
        self._host, self._requests, self._changes = host, requests, changes
        self._is_free = is_free or host.keys.no_draft.wait
        self._one = asyncio.Lock()

    async def deliver(self, text: str, on_typing: Callable[[], None] = lambda: None) -> Delivery:
        """Paste the text into the program's input box and press Enter once; return what happened. Calls run one by one.

        It waits without limit while a person has typed something there that is not sent yet. When it is cancelled, the
        text was typed whole and sent if `on_typing` was called, and not at all otherwise; only of a text that the
        program stopped reading, a part may have been typed.

        Args:
            text: The prompt.
            on_typing: Called just before it is typed.

        Returns:
            DELIVERED: a request to the model held the text. REFUSED: the program showed no input box or has ended, or
            there is nothing to type; nothing was typed. UNKNOWN: it was typed, but no request held it in time.
        """
        clean = typed_form(text, self._changes)
        async with self._one:
            if not clean or not await self._is_ready():
                return Delivery.REFUSED
            before = self._requests.count
            on_typing()
            typing = asyncio.create_task(self._type(clean))
            try:
                await asyncio.shield(typing)
            except asyncio.CancelledError:
                with suppress(TimeoutError):
                    async with asyncio.timeout(_HUNG_S + 5 * _reading_s(clean)):
                        await asyncio.gather(typing, return_exceptions=True)
                raise
            except OSError:
                return Delivery.UNKNOWN
            arrived = await self._requests.wait_for(clean, after=before, timeout_s=_ARRIVAL_S)
            return Delivery.DELIVERED if arrived else Delivery.UNKNOWN

    async def _type(self, clean: str) -> None:
        """Paste a text and press Enter.

        Raises:
            OSError: The program has closed its terminal.
        """
        await self._host.type(_PASTE_BEGIN + clean.encode("utf-8", "replace") + _PASTE_END)
        await self._quiet(_reading_s(clean))
        await self._host.type(b"\r")

    async def _is_ready(self) -> bool:
        """Wait until the program takes input, is quiet, and no person is typing there; return True then.

        A program that does not become quiet, or does not show the awaited text, is waited for only some seconds.
        Return False if the program has ended, or all this takes more than `_READY_S` seconds. The wait for the person
        comes last and has no limit.
        """
        if not await _is_done(self._shows_input_box(), _READY_S):
            return False
        await self._is_free()
        return self._host.code is None

    async def _shows_input_box(self) -> None:
        """Return when the program has ended, or takes input and is quiet."""
        while not self._host.takes_paste:
            if self._host.code is not None:
                return
            await asyncio.sleep(_POLL_S)
        with suppress(TimeoutError):
            await awake_wait(self._host.has_shown.wait(), _SHOWN_S)
        await self._quiet(_SETTLED_S)

    async def _quiet(self, wanted_s: float) -> None:
        """Return when the program has written nothing for `wanted_s` seconds, or after five times as long at most."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        while True:
            now = loop.time()
            left_s = max(self._host.written_at, started) + wanted_s - now
            if left_s <= 0 or now > started + 5 * wanted_s:
                return
            await asyncio.sleep(left_s)
