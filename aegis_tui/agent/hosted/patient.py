"""Lets a program that has met its usage limit wait, and go on by itself when the limit ends (M19, FLOW-6)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from datetime import UTC, datetime
from typing import Any

from aegis_tui.agent.hosted.limit_watch import Limited, LimitWatch
from aegis_tui.agent.hosted.program import Ran
from aegis_tui.agent.hosted.runner import OnDelivery, Runner, ignore_delivery
from aegis_tui.agent.life import cancel
from aegis_tui.agent.progress import Progress
from aegis_tui.errors import Unavailable

MAX_LIMITED = 5
"""How often a task goes on by itself after a usage limit; the next limit fails it."""

LONGEST_WAIT_S = 8 * 24 * 3600.0
"""A limit that lasts longer, in seconds, is not waited for: some limits are reset once a week."""

GO_ON = "The usage limit that stopped you is over. Go on with your task where you stopped."
_LOOK_S = 30.0
"""The clock is read again this often, so that a change of the clock, or the machine's sleep, prolongs no wait."""


class PatientRunner:
    """Runs a program's prompts, waits while its usage limit lasts, and then lets it go on.

    Args:
        runner: Runs the program.
        watch: Knows the limit.
        title: How the program is called.
        progress: Reports `limited`, with the time, and afterwards the state before.
        ready: Returns once the instance may work; awaited before the program goes on.
    """

    def __init__(
        self, runner: Runner, watch: LimitWatch, *, title: str, progress: Progress, ready: Callable[[], Awaitable[None]]
    ) -> None:
        self._runner, self._watch, self._title, self._progress, self._ready = runner, watch, title, progress, ready
        self._before = ""
        """The state that was reported before `limited`, and is reported again when the limit ends."""

    async def run(self, text: str, on_delivery: OnDelivery = ignore_delivery) -> Ran:
        """Give the program the prompt; return how its work ended, once no usage limit has ended it.

        At a limit it waits, up to `LONGEST_WAIT_S`, and lets the program go on, up to `MAX_LIMITED` times; not if a
        person has interrupted it. When it is cancelled, the program's run or turn is, too.

        Args:
            text: The prompt.
            on_delivery: Called as soon as it is known what became of the prompt.

        Raises:
            Unavailable: It met its limit too often, or the limit lasts too long (code `agent.limited`).
            AegisError: The prompt cannot be given to it.
            OSError: The program cannot be started.
        """
        return await self.until_done(self._runner.run(text, on_delivery))

    async def until_done(self, work: Coroutine[Any, Any, Ran]) -> Ran:
        """Return how the program's present work ended, once no usage limit has ended it; waits and errors as in `run`.

        Args:
            work: Returns how the program's work ended for the first time.
        """
        showing = asyncio.create_task(self._show())
        try:
            ran = await work
            waits = 0
            while not ran.is_interrupted and (limited := self._watch.verdict(ran)) is not None:
                waits += 1
                await self._wait_out(limited, waits)
                ran = await self._runner.go_on(GO_ON)
            return ran
        finally:
            await cancel(showing)
            await self._leave()

    async def _wait_out(self, limited: Limited, waits: int) -> None:
        """Report the limit, and return when it is over and the instance may work.

        Raises:
            Unavailable: It lasts too long, or the program waits for the sixth time.
        """
        words = f"{self._title} has reached its usage limit"
        hint = "start it again later, or choose another kind"
        lasts_s = (limited.until - self._watch.now).total_seconds()
        if lasts_s > LONGEST_WAIT_S:
            at = f"{limited.until.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
            raise Unavailable(
                f"{words}, which lasts until {at}: {limited.words}", hint, code="agent.limited", is_certain=True
            )
        if waits > MAX_LIMITED:
            raise Unavailable(f"{words} {waits} times: {limited.words}", hint, code="agent.limited", is_certain=True)
        await self._enter(limited)
        await self._reach(limited.until)
        await self._leave()
        await self._ready()

    async def _reach(self, at: datetime) -> None:
        """Wait until the clock shows this time; return at once if it has passed.

        A change of the clock counts within 30 s.
        """
        while True:
            left_s = (at - self._watch.now).total_seconds()
            if left_s <= 0:
                return
            await asyncio.sleep(min(left_s, _LOOK_S))

    async def _show(self) -> None:
        """Report the state `limited` while the program itself waits for its limit's end, and then the state before.

        Runs until it is cancelled.
        """
        while True:
            await self._watch.changed.wait()
            self._watch.changed.clear()
            if self._watch.current is not None:
                await self._enter(self._watch.current)
            else:
                await self._leave()

    async def _enter(self, limited: Limited) -> None:
        if self._progress.state != "limited":
            self._before = self._progress.state
        until = limited.until.astimezone(UTC)
        await self._progress.enter("limited", f"usage limit of {self._title}: {limited.words}", until=_wire(until))

    async def _leave(self) -> None:
        if self._progress.state == "limited":
            await self._progress.enter(self._before)


def _wire(at: datetime) -> str:
    """Return a time, which must be in UTC, as text: RFC 3339 with milliseconds and `Z`."""
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}Z"
