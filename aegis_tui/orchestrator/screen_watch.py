"""Watches the panes of programs for questions to the person, and types the person's answers (PANE-4, PANE-5).

A question is recorded once two looks half a second apart have seen it, and counts as gone after two looks without it.
An answer is typed only while the screen shows the question that it was given to: the mark of the program is moved to
the choice, and Enter is pressed when the screen shows it there.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from typing import Final, Literal, NamedTuple

from aegis_tui.domain.decision import THE_HUB
from aegis_tui.domain.hosting.screen_rule import ScreenRules, Shown, read_screen
from aegis_tui.domain.instance.asking import asked_of, prompt_gone
from aegis_tui.domain.instance.commands import InstanceAnswer, InstanceMarkAsking
from aegis_tui.domain.instance.model import Phase
from aegis_tui.domain.workspace import Workspace
from aegis_tui.errors import Refused, TerminalError
from aegis_tui.orchestrator.last_screen import plain_lines
from aegis_tui.ports.command_port import CommandPort
from aegis_tui.ports.terminal import PaneKey, PaneState, Terminal

LOOK_S: Final = 0.5
"""The time between two looks at the screens that have changed."""
_DRAWN_S: Final = 2.0
"""How long a program may take to draw what a key has changed."""
_REDRAW_LOOK_S: Final = 0.05


class _Interface(NamedTuple):
    """A program whose screen is watched."""

    agent_id: str
    kind: str
    known: str | None
    """The digest of the question that is recorded; None if none is."""


class ScreenWatch:
    """Watches the screens of the programs that run with their own interface in panes.

    Args:
        terminal: The workspace's panes.
        port: Takes what is recorded, and gives the state.
        find_rules: Returns the screen rules of an agent kind; without rules, its screens are not read. It may block.
    """

    def __init__(self, terminal: Terminal, port: CommandPort, find_rules: Callable[[str], ScreenRules]) -> None:
        self._terminal, self._port, self._find_rules = terminal, port, find_rules
        self._rules: dict[str, ScreenRules] = {}
        self._dirty: set[str] = set()
        self._last: dict[str, str | None] = {}
        """Agent id -> the digest of the question at the last look; None if there was none."""
        self._typing: dict[str, asyncio.Lock] = {}

    async def run(self) -> None:
        """Watch until cancelled.

        Raises:
            AegisError: tmux does not answer, or the state cannot be read or written.
        """
        following = asyncio.create_task(self._follow_output(), name="screen-output")
        try:
            while True:
                if following.done():
                    following.result()  # raises what has ended it
                await self._look()
                await asyncio.sleep(LOOK_S)
        finally:
            following.cancel()
            await asyncio.wait([following])

    async def _follow_output(self) -> None:
        async for panes in self._terminal.dirty():
            self._dirty |= panes

    async def _look(self) -> None:
        watched = await self._port.read(_with_interface)
        for gone in self._last.keys() - {item.agent_id for item in watched.values()}:
            del self._last[gone]
        if not watched:
            return
        dirty, self._dirty = self._dirty, set()
        panes = [pane for pane in await self._terminal.list_panes() if pane.instance in watched and not pane.dead]
        due = [pane for pane in panes if pane.pane_id in dirty or self._is_open(watched[pane.instance])]
        for pane, shown in (await self._read(due, watched)).items():
            await self._note(watched[pane.instance], shown)

    def _is_open(self, item: _Interface) -> bool:
        """Return whether the last look has to be confirmed, or a question is on the screen, or there was no look."""
        return item.agent_id not in self._last or self._last[item.agent_id] is not None or item.known is not None

    async def _read(self, panes: list[PaneState], watched: Mapping[str, _Interface]) -> dict[PaneState, Shown | None]:
        """Return what the screens of the panes show by the rules of their kinds; a pane that is gone is left out."""
        kinds = {watched[pane.instance].kind for pane in panes}
        for kind in kinds - self._rules.keys():
            self._rules[kind] = await asyncio.to_thread(self._find_rules, kind)
        read = [pane for pane in panes if self._rules[watched[pane.instance].kind].rules]
        shots = await self._terminal.capture([pane.pane_id for pane in read])
        return {
            pane: read_screen(
                self._rules[watched[pane.instance].kind], pane.title, plain_lines(shots[pane.pane_id].lines)
            )
            for pane in read
            if pane.pane_id in shots
        }

    async def _note(self, item: _Interface, shown: Shown | None) -> None:
        """Record the question, or that it is gone, if the look before saw the same."""
        screen = shown.asks.prompt if shown and shown.asks else None
        digest = screen.digest if screen else None
        before = self._last.get(item.agent_id, "")
        self._last[item.agent_id] = digest
        if before != digest or digest == item.known or self._is_typing(item.agent_id):
            return
        source = shown.source if shown else "screen"
        await self._port.submit(InstanceMarkAsking(agent_id=item.agent_id, screen=screen, source=source), THE_HUB)

    def _is_typing(self, agent_id: str) -> bool:
        return agent_id in self._typing and self._typing[agent_id].locked()

    async def answer(self, command: InstanceAnswer) -> InstanceAnswer:
        """Type an answer into the pane; return the command with what became of it.

        It is `delivered` if the question has gone from the screen afterwards, `unknown` if it is still there.

        Raises:
            UsageError: There is no such instance or choice.
            Refused: The instance has ended, or does not ask this any more; Enter was not pressed (code `prompt.gone`).
            AegisError: tmux does not answer, or the state cannot be read.
        """
        agent_id = (await self._port.read(lambda workspace: asked_of(workspace, command)[0])).agent_id
        async with self._typing.setdefault(agent_id, asyncio.Lock()):
            # What another answer has changed meanwhile counts.
            item, asks, _ = await self._port.read(lambda workspace: asked_of(workspace, command))
            watched = _Interface(item.agent_id, item.kind, asks.screen.digest)
            target = _Target(item.instance_id, asks.screen.digest, command.choice - 1)
            try:
                delivery = await self._type(watched, target)
            finally:
                self._last[agent_id] = ""  # two looks from now on decide
        return command.model_copy(update={"delivery": delivery})

    async def _type(self, item: _Interface, target: _Target) -> Literal["delivered", "unknown"]:
        marked = await self._marked(item, target)
        while marked != target.choice:
            key: PaneKey = "Down" if marked < target.choice else "Up"
            await self._press(target, key)
            marked = await self._moved(item, target, marked)
        # The mark stands on the choice by a look just before.
        await self._press(target, "Enter")
        with contextlib.suppress(TimeoutError, Refused):
            async with asyncio.timeout(_DRAWN_S):
                while True:
                    await self._marked(item, target)
                    await asyncio.sleep(_REDRAW_LOOK_S)
        pane, shown = await self._shown(item, target)
        is_there = pane and shown and shown.asks and shown.asks.prompt.digest == target.digest
        return "unknown" if is_there else "delivered"

    async def _moved(self, item: _Interface, target: _Target, before: int) -> int:
        """Wait until the mark has moved, and return where it is.

        Raises:
            Refused: It did not move in time, or the question is gone.
        """
        try:
            async with asyncio.timeout(_DRAWN_S):
                while True:
                    if (now := await self._marked(item, target)) != before:
                        return now
                    await asyncio.sleep(_REDRAW_LOOK_S)
        except TimeoutError as error:
            raise Refused(
                f"the arrow keys did not move the mark on the screen of {target.instance}; nothing was chosen",
                f"answer in its pane: aegis-tui attach {target.instance}",
                code="prompt.gone",
            ) from error

    async def _press(self, target: _Target, key: PaneKey) -> None:
        pane = await self._terminal.find_pane(target.instance)
        if pane is None:
            raise prompt_gone(target.instance)
        if not await self._terminal.press(pane.pane_id, key):
            raise TerminalError(
                f"the pane of {target.instance} takes no keys now, because somebody reads its history there",
                f"leave the history (q in the pane: aegis-tui attach {target.instance}), then answer again",
            )

    async def _marked(self, item: _Interface, target: _Target) -> int:
        """Return the index of the choice that has the mark.

        Raises:
            Refused: The screen does not show the question any more.
        """
        _, shown = await self._shown(item, target)
        if shown is None or shown.asks is None or shown.asks.prompt.digest != target.digest:
            raise prompt_gone(target.instance)
        if shown.asks.marked is None:
            raise prompt_gone(target.instance)
        return shown.asks.marked

    async def _shown(self, item: _Interface, target: _Target) -> tuple[PaneState | None, Shown | None]:
        pane = await self._terminal.find_pane(target.instance)
        if pane is None or pane.dead:
            return None, None
        return pane, (await self._read([pane], {pane.instance: item})).get(pane)


class _Target(NamedTuple):
    """What an answer is for."""

    instance: str
    """Its short id."""
    digest: str
    choice: int
    """The index of the choice, from 0."""


def _with_interface(workspace: Workspace) -> dict[str, _Interface]:
    """Return the programs that run with their own interface, by instance id."""
    interfaces = {}
    for item in workspace.instances.alive():
        run = workspace.runs.by_id.get(item.run or "")
        if item.pane is None or item.phase not in (Phase.LAUNCHED, Phase.JOINED) or run is None:
            continue
        if run.options.agent_mode == "terminal":
            digest = item.asks.screen.digest if item.asks else None
            interfaces[item.instance_id] = _Interface(item.agent_id, item.kind, digest)
    return interfaces
