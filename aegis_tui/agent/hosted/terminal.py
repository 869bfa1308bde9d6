"""Runs the program with its own interface in the pane, and types each prompt into it (PANE-4, AGENT-1).

A turn is over when the program makes no more calls to its model and everything that it started for the turn has ended.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import replace

import psutil

from aegis_tui.agent.hosted.delivery import Requests, Typist
from aegis_tui.agent.hosted.program import Ran, descendants
from aegis_tui.agent.hosted.pty_host import PtyHost
from aegis_tui.agent.hosted.relay import Counted
from aegis_tui.agent.hosted.runner import OnDelivery, ignore_delivery, ignore_tool, program_environment
from aegis_tui.agent.settings import AgentSettings
from aegis_tui.domain.hosting.kind_file import KindFile, fill
from aegis_tui.errors import Unavailable, UsageError
from aegis_tui.ports.terminal import Delivery

_LOOK_S = 0.5
_SETTLED_S = 3.0
_BY_ITSELF_S = 5.0
"""How long after the end of a usage limit a program may take to call its model by itself."""
_LONGEST_PAUSE_S = 180.0
"""The longest that a program pauses by itself after a refusal of its model server, whatever the server asks for."""
_LONGEST_CHILD_S = 900.0
"""A process that the program has started counts as work for that long; then as a server that it keeps."""


class TerminalRunner:
    """A `Runner` for the mode `terminal` of a kind. The program runs from the first prompt on.

    Args:
        settings: Identity, addresses, files and limits.
        kind: The description of the kind.
        values: The placeholders of the kind file.
        requests: What the program sends to its model.
        count: Returns what the gateway has counted for the instance; None if it does not answer.
        pane: The descriptors of the pane's input and output.
    """

    def __init__(
        self,
        settings: AgentSettings,
        kind: KindFile,
        values: Mapping[str, str],
        *,
        requests: Requests,
        count: Callable[[], Awaitable[Counted | None]],
        pane: tuple[int, int] = (0, 1),
    ) -> None:
        self._settings, self._kind, self._values, self._pane = settings, kind, values, pane
        self._requests, self._count = requests, count
        self.on_tool: Callable[[str], None] = ignore_tool
        self._host: PtyHost | None = None
        self._typist: Typist | None = None
        self._calls_at_end = 0
        """How many calls the program had made to its model at the end of its last turn."""
        self._written_at_end = 0
        """How much it had written to its terminal by then."""

    async def run(self, text: str, on_delivery: OnDelivery = ignore_delivery) -> Ran:
        """Type the prompt; return, when the program's turn is over or the program has ended, how that went.

        Starts the program if it does not run. Waits without limit while a person has typed something not sent yet.

        Raises:
            UsageError: The kind has no such mode.
            Unavailable: The prompt was refused, or it is not known whether it arrived (code `agent.prompt`).
            OSError: The program cannot be started.
        """
        host, typist = await self._opened()
        written_bytes = host.written_bytes
        delivery = await typist.deliver(text)
        await on_delivery(delivery, _NOT_DELIVERED.get(delivery, ""))
        if host.code is not None:
            return await self._ended(host)
        if delivery is not Delivery.DELIVERED:
            raise Unavailable(_NOT_DELIVERED[delivery], "attach to its pane and look", code="agent.prompt")
        return await self._turn(host, written_bytes)

    async def go_on(self, text: str) -> Ran:
        """Let the program go on; return, when its turn is over or it has ended, how that went.

        The text is typed only if the program does not call its model within 5 s by itself. One that has ended is
        started again and gets the text as a prompt.

        Raises:
            Unavailable: The prompt was refused, or the program did not call its model afterwards (code `agent.prompt`).
            UsageError: It is started again, and the prompt is not possible for this kind; as in `run`.
            OSError: The program cannot be started.
        """
        host, typist, written_bytes = self._host, self._typist, self._written_at_end
        if host is None or typist is None or host.code is not None:
            return await self.run(text)
        if not await self._requests.more_than(self._calls_at_end, timeout_s=_BY_ITSELF_S):
            delivery = await typist.deliver(text)
            if delivery is Delivery.UNKNOWN:  # a program that waits by itself takes the text when it has waited enough
                is_going_on = await self._requests.more_than(self._calls_at_end, timeout_s=_LONGEST_PAUSE_S)
                delivery = Delivery.DELIVERED if is_going_on else delivery
            if delivery is not Delivery.DELIVERED and host.code is None:
                raise Unavailable(_NOT_DELIVERED[delivery], "attach to its pane and look", code="agent.prompt")
        return await self._turn(host, written_bytes)

    async def _turn(self, host: PtyHost, written_bytes: int) -> Ran:
        """Return how the present turn ends.

        Args:
            host: The program.
            written_bytes: How much it had written when the turn began.
        """
        interrupts = host.interrupts
        before = descendants()  # servers for tools run by now; what is started later works for the answer
        over = asyncio.create_task(self._turn_over(before))
        gone = asyncio.create_task(host.ended())
        try:
            await asyncio.wait({over, gone}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (over, gone):
                task.cancel()
            await asyncio.gather(over, gone, return_exceptions=True)
        self._calls_at_end, self._written_at_end = self._requests.count, host.written_bytes
        if host.code is not None:
            ran = await self._ended(host)
        else:
            ran = Ran(0, "", host.shown_since(written_bytes), is_alive=True)
        return replace(ran, is_interrupted=host.interrupts > interrupts)

    async def close(self) -> None:
        """End the program and return when it has ended; no effect if it does not run."""
        if self._host is not None:
            host, self._host = self._host, None
            await host.__aexit__(None, None, None)

    async def _opened(self) -> tuple[PtyHost, Typist]:
        if self._host is not None and self._typist is not None:
            return self._host, self._typist
        mode = self._kind.terminal
        if mode is None:
            raise UsageError(f"{self._kind.title} cannot run with its own interface", "run it headless")
        host = PtyHost(
            [fill(argument, self._values) for argument in mode.argv],
            cwd=self._settings.worktree,
            environment=program_environment(self._settings, self._kind, self._values),
            pane=self._pane,
            awaited=mode.ready,
        )
        await host.__aenter__()
        self._host, self._typist = host, Typist(host, self._requests, mode.changes)
        return self._host, self._typist

    async def _ended(self, host: PtyHost) -> Ran:
        """Wait for the end of the program and return its exit code and last output; the next prompt starts it again."""
        code, tail = await host.ended(), host.last_output
        await self.close()
        return Ran(code, "", tail[-2000:])

    async def _turn_over(self, before: frozenset[psutil.Process]) -> None:
        """Return when the program's turn is over.

        Times are counted by looks: while the machine sleeps, nothing gets older.

        Args:
            before: The processes below this one at the start of the turn.
        """
        quiet_s, calls = 0.0, -1
        seen_s: dict[psutil.Process, float] = {}
        while quiet_s < _SETTLED_S:
            await asyncio.sleep(_LOOK_S)
            counted = await self._count()
            is_busy = counted is None or counted.running > 0 or counted.calls != calls
            calls = counted.calls if counted else calls
            seen_s = {child: seen_s.get(child, 0.0) + _LOOK_S for child in await asyncio.to_thread(_children, before)}
            is_busy = is_busy or any(age_s < _LONGEST_CHILD_S for age_s in seen_s.values())
            quiet_s = 0.0 if is_busy else quiet_s + _LOOK_S


_NOT_DELIVERED = {
    Delivery.REFUSED: "the program showed no input box, so the prompt was not typed",
    Delivery.UNKNOWN: "the prompt was typed, but no call of the program to its model contained it",
}


def _children(before: frozenset[psutil.Process]) -> list[psutil.Process]:
    """Return the processes below this one that run and are not among `before`."""
    children = []
    for process in descendants() - before:
        with suppress(psutil.Error):
            if process.status() != psutil.STATUS_ZOMBIE:
                children.append(process)
    return children
