"""How a program gets a prompt, and how its end of work is noticed: the two ways have one interface (AGENT-1)."""

from __future__ import annotations

import os
import shutil
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

from aegis_tui.agent.hosted.acp_permission import OnQuestion
from aegis_tui.agent.hosted.acp_view import Act
from aegis_tui.agent.hosted.guard import ASK_TOOL, WORKTREE
from aegis_tui.agent.hosted.hear import listening_environment
from aegis_tui.agent.hosted.program import Ran
from aegis_tui.agent.settings import AgentSettings
from aegis_tui.domain.hosting.kind_file import KindFile, fill
from aegis_tui.ports.delivery import Delivery
from aegis_tui.sdk.gateway import base_urls

_WRAPPERS_OWN = frozenset({"AEGIS_KIND", "AEGIS_KIND_FILE", "AEGIS_BRIEF_CONTEXT", "AEGIS_ROLES"})


OnDelivery = Callable[[Delivery, str], Awaitable[None]]
"""Takes what became of a prompt, and why it was not delivered or that is not known; called once."""


async def ignore_delivery(delivery: Delivery, reason: str) -> None:
    """Do nothing: nobody waits to hear what became of the prompt."""


PersonAct = Literal["turn", "submit", "quit"]
"""What a person has done between two turns, in the program's own interface: they have given it a prompt, on which it
works now; they have pressed the key that submits the work; or the program has ended."""


def ignore_tool(name: str) -> None:
    """Do nothing: nobody follows what the program does."""


class Runner(Protocol):
    """Runs the program of one instance; it has one conversation."""

    on_tool: Callable[[str], None]
    """Takes the name of each tool that the program's output shows."""

    async def run(self, text: str, on_delivery: OnDelivery = ignore_delivery) -> Ran:
        """Give the program the next prompt of the conversation; return, when it has done its work, how that went.

        When it is cancelled, a program that runs headless is ended; in its own interface, the keys of its kind end its
        turn.

        Args:
            text: The prompt.
            on_delivery: Called as soon as it is known what became of the prompt; never if an error is raised before.

        Raises:
            AegisError: The prompt cannot be given to it.
            OSError: The program cannot be started.
        """
        ...

    async def go_on(self, text: str) -> Ran:
        """Let the program go on with its last prompt; return, when it has done its work, how that went.

        For a program that a usage limit has stopped. The caller waits until the limit is over.

        Args:
            text: The prompt that tells it to go on; not given to a program that has gone on by itself.

        Raises:
            AegisError: The prompt cannot be given to it.
            OSError: The program cannot be started.
        """
        ...

    async def close(self) -> None:
        """End the program and return when it has ended; no effect if it does not run."""
        ...


@runtime_checkable
class FollowsPerson(Protocol):
    """A `Runner` whose program a person can use too, in its own interface."""

    async def next_act(self) -> PersonAct:
        """Wait until a person does something between two turns, and return what.

        Until that is handled (see `follow`), a call returns it again at once.
        """
        ...

    def is_due(self, act: PersonAct) -> bool:
        """Return whether a person has done this, and `follow` has not handled it yet; False while the program works."""
        ...

    async def follow(self, act: PersonAct) -> Ran:
        """Wait, as long as it takes, for the end of the work that a person's act has begun; return how it ended.

        For `submit` the program has not worked: it returns at once. When it is cancelled during a turn, the keys of the
        kind end that turn. Raises nothing: failures of the program are in the result.

        Args:
            act: One for which `is_due` is True.
        """
        ...

    def takes_submission(self) -> bool:
        """Return whether a person has pressed the key that submits the work since the last call."""
        ...


@runtime_checkable
class ReportsActs(Protocol):
    """A `Runner` whose program says itself what its tool calls do, and asks for permissions over its connection."""

    on_act: Callable[[Act], None]
    """Called with each tool call when it becomes known, and again when it names more files; set by the session."""

    on_question: OnQuestion
    """Takes what the program asks a person, and None when that is answered."""

    def answer(self, line: str) -> bool:
        """Take a line that a person typed; return whether the program waits for an answer, and it is one."""
        ...


def program_environment(settings: AgentSettings, kind: KindFile, values: Mapping[str, str]) -> dict[str, str]:
    """Return all variables of the program, name -> value.

    They are the wrapper's, the project's environment, the gateway's addresses for each API (contract 10), what the
    guard of its edits and what it hears between its tool calls need, the kind's; of equal names, the later counts. The
    folder in which the program was found comes first on PATH: what was installed with it, such as its Node.js, is what
    it needs. If it is not found, PATH stays.

    Args:
        settings: The worktree and the project's environment.
        kind: The description of the kind.
        values: The placeholders of the kind file, with `gateway` and `home`.

    Raises:
        KeyError: One of these two is missing.
    """
    own = {name: fill(value, values) for name, value in kind.environment.items()}
    environment = {name: value for name, value in os.environ.items() if name not in _WRAPPERS_OWN}
    environment |= settings.tool_environment
    environment |= base_urls(values["gateway"])
    environment |= {WORKTREE: str(settings.worktree), **_asking(kind), **listening_environment(values["home"])} | own
    path = environment.get("PATH", os.defpath)
    program = next((place for name in kind.programs if (place := shutil.which(name, path=path))), None)
    return environment if program is None else {**environment, "PATH": f"{Path(program).parent}:{path}"}


def _asking(kind: KindFile) -> dict[str, str]:
    return {ASK_TOOL: kind.tool_name("request_scope")} if kind.mcp else {}
