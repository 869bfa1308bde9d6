"""Runs the program with its own interface in the pane, and types each prompt into it (PANE-4, AGENT-1).

A turn is over when the program makes no more calls to its model and everything that it started for the turn has ended.
What a person does in the interface is seen too: a prompt of theirs is a turn.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import psutil

from aegis_tui.agent.descendants import descendants
from aegis_tui.agent.hosted.answer import NOT_DELIVERED, WAS_TYPED, not_delivered
from aegis_tui.agent.hosted.delivery import Requests, Typist
from aegis_tui.agent.hosted.hear import box_of
from aegis_tui.agent.hosted.program import Ran
from aegis_tui.agent.hosted.pty_host import PtyHost
from aegis_tui.agent.hosted.relay import Counted
from aegis_tui.agent.hosted.runner import OnDelivery, PersonAct, ignore_delivery, ignore_tool, program_environment
from aegis_tui.agent.hosted.turn_end import turn_over
from aegis_tui.agent.settings import AgentSettings
from aegis_tui.domain.hosting.kind_file import KindFile, fill
from aegis_tui.errors import UsageError
from aegis_tui.ports.delivery import Delivery
from aegis_tui.sdk.awake import awake_wait

_LOOK_S = 0.5
_BY_ITSELF_S = 5.0
"""How long after the end of a usage limit a program may take to call its model by itself."""
_LONGEST_PAUSE_S = 180.0
"""The longest that a program pauses by itself after a refusal of its model server, whatever the server asks for."""
_CALL_S = 5.0
"""How long a program may take from a person's Enter to the call to its model."""
_TOOLS_S = 20.0
"""How long the first prompt waits until the program has got the list of its MCP tools."""
_BETWEEN_KEYS_S = 0.3
_KEY_S = 5.0
"""How long a program may take to read a key that ends its turn."""
_NEXT_PROMPT = "\n\n---\n\n"
"""Between the prompts that a program gets again, and the next one."""


@dataclass(frozen=True, slots=True)
class _TurnStart:
    """What had happened when the last turn ended, or the prompt of the present one was typed."""

    calls: int = 0
    """Calls of the program to its model."""
    written_bytes: int = 0
    """What it had written to its terminal."""
    entered: int = 0
    """How often a person had pressed Enter."""
    interrupts: int = 0
    """How often a person had pressed a key that ends a turn."""


class TerminalRunner:
    """A `Runner` for the mode `terminal` of a kind, which also follows what a person does there.

    The program runs from the first prompt on; one that has ended is started again by the next prompt.

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
        self._settings, self._kind, self._values, self._pane = settings, kind, dict(values), pane
        self._requests, self._count = requests, count
        self._box = box_of(values["home"])
        self.on_tool: Callable[[str], None] = ignore_tool
        self._host: PtyHost | None = None
        self._typist: Typist | None = None
        self._is_at_work = False
        self._asks_submission = False
        """Whether a person has pressed the key that submits in a program that has ended meanwhile."""
        self._seen = _TurnStart()
        self._typed = ""
        """The prompt of the present turn, as it was typed; empty if a person has typed it."""
        self._said: list[str] = []
        """The prompts that were typed so far, for a program that has lost its conversation."""
        self._lost: list[str] = []
        """Prompts that the program no longer has, and gets again before the next one."""
        self._at_enter: tuple[int, frozenset[psutil.Process]] = (0, frozenset())
        """How often a person had pressed Enter, and the processes below this one that ran just afterwards."""

    async def run(self, text: str, on_delivery: OnDelivery = ignore_delivery) -> Ran:
        """Type the prompt; return, when the program's turn is over or the program has ended, how that went.

        Starts the program if it does not run; one that ran before goes on with its conversation, or gets its prompts
        again. Waits without limit while the program works on a person's own prompt, and while a person has typed
        something not sent yet.

        Raises:
            UsageError: The kind has no such mode.
            Unavailable: The prompt was refused, or it is not known whether it arrived (code `agent.prompt`).
            OSError: The program cannot be started.
        """
        self._is_at_work = True
        try:
            host, delivery = await self._deliver(text, on_delivery)
            if host.code is not None:
                return await self._ended(host)
            if delivery is not Delivery.DELIVERED:
                raise not_delivered(delivery)
            return await self._turn(host, self._seen.interrupts, descendants())
        finally:
            self._is_at_work = False

    async def go_on(self, text: str) -> Ran:
        """Let the program go on; return, when its turn is over or it has ended, how that went.

        The text is typed only if the program does not call its model within 5 s by itself. One that has ended is
        started again and gets the text as a prompt. When it is cancelled, the keys of the kind end the turn.

        Raises:
            Unavailable: The prompt was refused, or the program did not call its model afterwards (code `agent.prompt`).
            UsageError: It is started again, and the prompt is not possible for this kind; as in `run`.
            OSError: The program cannot be started.
        """
        host, typist = self._host, self._typist
        if host is None or typist is None or host.code is not None:
            return await self.run(text)
        self._is_at_work = True
        try:
            try:
                delivery = await self._continued(typist, text)
            except asyncio.CancelledError:
                await self._interrupt(host)
                raise
            if delivery is not Delivery.DELIVERED and host.code is None:
                raise not_delivered(delivery)
            return await self._turn(host, self._seen.interrupts, descendants())
        finally:
            self._is_at_work = False

    async def _continued(self, typist: Typist, text: str) -> Delivery:
        """Return DELIVERED once the program calls its model again; the text is typed if it does not by itself."""
        if await self._requests.more_than(self._seen.calls, timeout_s=_BY_ITSELF_S):
            return Delivery.DELIVERED
        delivery = await typist.deliver(text)
        if delivery is Delivery.UNKNOWN:  # a program that waits by itself takes the text once it has waited
            is_going_on = await self._requests.more_than(self._seen.calls, timeout_s=_LONGEST_PAUSE_S)
            delivery = Delivery.DELIVERED if is_going_on else delivery
        return delivery

    async def next_act(self) -> PersonAct:
        """Wait until a person has begun a turn, asked for submission, or the program has ended, and return which.

        Looks every half second; see `is_due`. Until `follow` has handled it, a call returns it again.
        """
        acts: tuple[PersonAct, ...] = ("turn", "submit", "quit")
        while True:
            await asyncio.sleep(_LOOK_S)
            if self._host is not None and self._host.keys.entered != self._at_enter[0]:
                self._at_enter = self._host.keys.entered, descendants()
            if act := next(filter(self.is_due, acts), None):
                return act

    def is_due(self, act: PersonAct) -> bool:
        """Return whether an act of a person is not handled yet; False while the program works on a prompt.

        A person has begun a turn if they have pressed Enter and the program has called its model since the last turn.
        """
        host = self._host
        if self._is_at_work or host is None:
            return act == "submit" and self._asks_submission and not self._is_at_work
        if act == "turn":
            return host.keys.entered > self._seen.entered and self._requests.count > self._seen.calls
        return host.keys.asks_submission if act == "submit" else host.code is not None

    async def follow(self, act: PersonAct) -> Ran:
        """Wait for the end of the work that a person's act has begun, and return how it ended.

        For `submit`, returns at once. After `quit`, or a turn in which the program ends, the next prompt starts it
        again. When it is cancelled during a turn, the turn is ended by the keys of the kind.

        Args:
            act: An act that is due.
        """
        host = self._host
        if host is None or act == "submit":
            return Ran(0, "", "", is_alive=host is not None)
        self._is_at_work, self._typed = True, ""
        before = host.keys.interrupts_at_enter
        try:
            if act == "turn":
                entered, processes = self._at_enter
                return await self._turn(host, before, processes if entered == host.keys.entered else descendants())
            return replace(await self._ended(host), is_interrupted=host.keys.interrupts > before)
        finally:
            self._is_at_work = False

    def takes_submission(self) -> bool:
        """Return whether a person has pressed the key that submits the work since the last call."""
        asks, self._asks_submission = self._asks_submission, False
        if self._host is not None:
            asks = asks or self._host.keys.asks_submission
            self._host.keys.asks_submission = False
        return asks

    async def close(self) -> None:
        """End the program and return when it has ended; no effect if it does not run."""
        if self._host is not None:
            host, self._host = self._host, None
            self._asks_submission = self._asks_submission or host.keys.asks_submission
            await host.__aexit__(None, None, None)

    async def _deliver(self, text: str, on_delivery: OnDelivery) -> tuple[PtyHost, Delivery]:
        """Give the program a prompt, starting it if needed; return the program, and what became of the prompt.

        A program that has ended before anything was typed is started again, to go on with its conversation; if it ends
        once more, it is started without it. `on_delivery` is called with the result.

        Raises:
            UsageError: The kind has no such mode.
            OSError: The program cannot be started.
        """
        self._typed, anew = "", False
        try:
            while True:
                host, typist, start = await self._opened(anew=anew)
                delivery = await typist.deliver(self._whole(text), partial(self._on_typing, host, text))
                if delivery is not Delivery.REFUSED or host.code is None or start == "new":
                    break
                await self.close()
                anew = start == "resumed"
        except asyncio.CancelledError:
            if self._typed and self._host is not None:
                await self._interrupt(self._host)
                await on_delivery(Delivery.UNKNOWN, WAS_TYPED)
            raise
        await on_delivery(delivery, NOT_DELIVERED.get(delivery, ""))
        return host, delivery

    async def _person_is_done(self, host: PtyHost) -> None:
        """Return once a person has no unsent text in the program, and it works on no prompt of theirs; or it has ended.

        For some seconds after they have pressed Enter, the program may not have called its model yet.
        """
        keys = host.keys
        while True:
            await keys.no_draft.wait()
            if host.code is not None or keys.entered == self._seen.entered:
                return
            left_s = keys.entered_at + _CALL_S - time.monotonic()
            if await self._requests.more_than(self._seen.calls, timeout_s=max(left_s, 0.1)):
                await self._turn(host, keys.interrupts_at_enter, descendants())
            else:
                self._look(host)

    def _whole(self, text: str) -> str:
        """Return a prompt as it is typed: first the prompts that the program has lost, then this one."""
        return _NEXT_PROMPT.join([*(lost.strip() for lost in self._lost), text])

    def _on_typing(self, host: PtyHost, text: str) -> None:
        self._typed = self._whole(text)
        self._lost.clear()
        self._said.append(text)
        self._look(host)

    async def _turn(self, host: PtyHost, interrupts: int, processes: frozenset[psutil.Process]) -> Ran:
        """Wait until the present turn or the program itself ends, with no time limit, and return how it ended.

        When this is cancelled, the program's turn is ended by its own keys for that.

        Args:
            host: The program.
            interrupts: How often a person had pressed a key that ends a turn, when this one began.
            processes: The descendants of this process that ran then, such as servers for tools. While one that was
                started later runs, the turn goes on, for up to 15 minutes.

        Returns:
            If the program has ended, its exit code and last output, with `is_alive` False; else 0, what it showed in
            this turn, and `is_alive` True. `is_interrupted` says whether a person ended the turn.
        """
        written_bytes = self._seen.written_bytes
        over = asyncio.create_task(turn_over(host, self._count, processes))
        gone = asyncio.create_task(host.ended())
        try:
            await asyncio.wait({over, gone}, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            await self._interrupt(host)
            raise
        finally:
            for task in (over, gone):
                task.cancel()
            await asyncio.gather(over, gone, return_exceptions=True)
            self._look(host)
        is_interrupted = host.keys.interrupts > interrupts
        if is_interrupted:
            self._forget_interrupted()
        if host.code is not None:
            return replace(await self._ended(host), is_interrupted=is_interrupted)
        return Ran(0, "", host.shown_since(written_bytes), is_alive=True, is_interrupted=is_interrupted)

    async def _interrupt(self, host: PtyHost) -> None:
        """End the program's present turn by typing the keys of its kind for that; no effect if it has ended.

        A program that does not read a key within 5 s is ended; the next prompt starts it again.
        """
        mode = self._kind.terminal
        if mode is None or host.code is not None:
            return
        self._forget_interrupted()
        try:
            for key in mode.interrupt:
                await asyncio.wait_for(host.type(key.encode()), _KEY_S)
                await asyncio.sleep(_BETWEEN_KEYS_S)
        except TimeoutError:
            await self.close()
        except OSError:
            return  # it has closed its terminal

    def _forget_interrupted(self) -> None:
        """Note the prompt of an interrupted turn as lost, if the program removes it from its conversation."""
        if self._kind.terminal is not None and self._kind.terminal.forgets_interrupted and self._typed:
            self._lost.append(self._typed)
        self._typed = ""

    def _look(self, host: PtyHost) -> None:
        """Note how much the program has called, written and got from the keyboard.

        What comes later belongs to the next turn.
        """
        self._seen = _TurnStart(self._requests.count, host.written_bytes, host.keys.entered, host.keys.interrupts)

    async def _opened(self, *, anew: bool) -> tuple[PtyHost, Typist, Literal["running", "resumed", "new"]]:
        """Return the program, its typist, and whether it ran before, was resumed with its conversation, or is new.

        It is started if it does not run. A program that begins a new conversation has lost all earlier prompts.

        Args:
            anew: Whether it cannot go on with its conversation.

        Raises:
            UsageError: The kind has no such mode.
            OSError: The program cannot be started.
        """
        if self._host is not None and self._host.code is not None:
            await self.close()
        if self._host is not None and self._typist is not None:
            return self._host, self._typist, "running"
        mode = self._kind.terminal
        if mode is None:
            raise UsageError(f"{self._kind.title} cannot run with its own interface", "run it headless")
        resumes = bool(mode.again and self._said and not anew)
        if self._said and not resumes:
            self._lost, self._values["session"] = list(self._said), str(uuid.uuid4())
        self._box.unmark_tools_listed()
        self._at_enter = (0, frozenset())
        host = PtyHost(
            [fill(argument, self._values) for argument in (mode.again if resumes else mode.argv)],
            cwd=self._settings.worktree,
            environment=program_environment(self._settings, self._kind, self._values),
            pane=self._pane,
            awaited=mode.ready,
            interrupts=mode.interrupt,
        )
        await host.__aenter__()
        self._host, self._typist = host, Typist(host, self._requests, mode.changes, partial(self._person_is_done, host))
        self._look(host)
        if self._kind.mcp:
            with suppress(TimeoutError):
                await awake_wait(self._tools_listed(host), _TOOLS_S)
        return self._host, self._typist, "resumed" if resumes else "new"

    async def _tools_listed(self, host: PtyHost) -> None:
        """Return once the program has got the list of its MCP tools, or has ended."""
        while True:
            if self._box.has_listed_tools or host.code is not None:
                return
            await asyncio.sleep(_LOOK_S)

    async def _ended(self, host: PtyHost) -> Ran:
        """Wait for the end of the program and return its exit code and last output; the next prompt starts it again."""
        code, tail = await host.ended(), host.last_output
        await self.close()
        return Ran(code, "", tail[-2000:])
