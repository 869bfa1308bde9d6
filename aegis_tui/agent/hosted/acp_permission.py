"""Answers a program that asks for a permission over ACP: in the sandbox with yes, else as a person says (AGENT-3).

See https://agentclientprotocol.com/protocol/tool-calls#requesting-permission.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

from aegis_tui.agent.screen import Screen

_MOST_OPTIONS = 9
_TITLE_CHARS = 300
_CANCELLED: Mapping[str, Any] = {"outcome": {"outcome": "cancelled"}}

OnQuestion = Callable[[str | None], Awaitable[None]]
"""Takes what the program asks a person, and None when that is answered."""


async def ignore_question(title: str | None) -> None:
    """Do nothing: nobody reports that the program asks."""


class _Option(NamedTuple):
    number: str
    name: str
    kind: str


class Permissions:
    """The answers for one program.

    Args:
        screen: The pane.
        allows_all: Whether every call is allowed, as in the sandbox.
    """

    def __init__(self, screen: Screen, *, allows_all: bool) -> None:
        self._screen, self._allows_all = screen, allows_all
        self.on_question: OnQuestion = ignore_question
        self._turn = asyncio.Lock()
        self._options: list[_Option] = []
        self._answer: asyncio.Future[_Option | None] | None = None
        self._withdrawn = 0

    async def ask(self, params: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the answer for one request: the option that allows the call this once, if every call is allowed.

        Else the pane shows the options, and the answer waits for a person, one request after the other. A request
        without an option that fits is cancelled. Cancelling it withdraws the question.

        Args:
            params: The parameters of `session/request_permission`.
        """
        options = _options_in(params.get("options"))
        call = params.get("toolCall")
        title = call.get("title") if isinstance(call, dict) else None
        words = " ".join(title.split())[:_TITLE_CHARS] if isinstance(title, str) else "a tool call"
        if not self._allows_all:
            return await self._ask_person(words, options)
        chosen = next(
            (option for kind in ("allow_once", "allow_always") for option in options if option.kind == kind), None
        )
        if chosen is None:
            self._screen.problem(f"the program asks about {words}, but none of its options allows it")
            return _CANCELLED
        self._screen.action("Allowed", words)
        return _selected(chosen)

    def answer(self, line: str) -> bool:
        """Take the number of an option that a person typed; return whether the program waits for one, and it is one."""
        if self._answer is None or self._answer.done() or not line.strip().isdecimal():
            return False
        at = int(line.strip()[:3]) - 1
        if not 0 <= at < len(self._options):
            return False
        self._answer.set_result(self._options[at])
        return True

    def withdraw(self) -> None:
        """Answer every question that waits with `cancelled`, because the turn is cancelled; ACP demands that."""
        self._withdrawn += 1
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(None)

    async def _ask_person(self, words: str, options: list[_Option]) -> Mapping[str, Any]:
        withdrawn = self._withdrawn
        async with self._turn:
            if not options or withdrawn != self._withdrawn:
                return _CANCELLED
            self._options, self._answer = options, asyncio.get_running_loop().create_future()
            self._screen.action("Asks", words)
            self._screen.output("\n".join(f"{at}. {option.name}" for at, option in enumerate(options, 1)))
            try:
                await self.on_question(words)
                chosen = await self._answer
                return _CANCELLED if chosen is None else _selected(chosen)
            finally:
                self._answer, self._options = None, []
                await self.on_question(None)


def _selected(option: _Option) -> Mapping[str, Any]:
    return {"outcome": {"outcome": "selected", "optionId": option.number}}


def _options_in(value: object) -> list[_Option]:
    """Return the options of a request, at most nine; what has another form than the protocol says is left out."""
    options = []
    for item in value if isinstance(value, list) else []:
        if isinstance(item, dict) and isinstance(number := item.get("optionId"), str):
            name, kind = item.get("name"), item.get("kind")
            shown = " ".join(name.split()) if isinstance(name, str) else number
            options.append(_Option(number, shown, kind if isinstance(kind, str) else ""))
    return options[:_MOST_OPTIONS]
