"""Runs the program once for each prompt, without a person (AGENT-1)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from aegis_tui.agent.hosted.program import Ran, run_headless
from aegis_tui.agent.hosted.runner import OnDelivery, ignore_delivery, ignore_tool, program_environment
from aegis_tui.agent.screen import Screen
from aegis_tui.agent.settings import AgentSettings
from aegis_tui.domain.hosting.kind_file import HeadlessMode, KindFile, fill
from aegis_tui.errors import UsageError
from aegis_tui.ports.delivery import Delivery

_MOST_ARGUMENT_BYTES = 120_000
"""Linux refuses a single argument of 128 KiB or more (MAX_ARG_STRLEN)."""


class HeadlessRunner:
    """A `Runner` for the mode `headless` of a kind.

    Args:
        settings: Identity, addresses, files and limits.
        kind: The description of the kind.
        values: The placeholders of the kind file, without `prompt`.
        screen: Shows the program's output.
    """

    def __init__(self, settings: AgentSettings, kind: KindFile, values: Mapping[str, str], screen: Screen) -> None:
        self._settings, self._kind, self._values, self._screen = settings, kind, values, screen
        self.on_tool: Callable[[str], None] = ignore_tool
        self._said: list[str] = []
        """The prompts of the conversation, for a program that cannot go on with one."""

    async def run(self, text: str, on_delivery: OnDelivery = ignore_delivery) -> Ran:
        """Run the program with this prompt until it ends, and return how it ended; cancelling ends the program.

        Args:
            text: The prompt.
            on_delivery: Called with `DELIVERED` once the program has been started; never if it cannot be.

        Raises:
            UsageError: The kind has no such mode, or the prompt is too long for an argument.
            OSError: The program cannot be started.
        """
        mode = self._kind.headless
        if mode is None:
            raise UsageError(f"{self._kind.title} cannot run headless")
        has_run = bool(self._said)
        self._said.append(text)
        argv, prompt = _next_command(mode, self._said, has_run=has_run)
        if mode.prompt == "argument" and len(prompt.encode("utf-8", "replace")) > _MOST_ARGUMENT_BYTES:
            raise UsageError("the prompt is too long for an argument of this program", "shorten the brief")
        values = {**self._values, "prompt": prompt}
        return await run_headless(
            [fill(argument, values) for argument in argv],
            cwd=self._settings.worktree,
            environment=program_environment(self._settings, self._kind, self._values),
            stdin=prompt if mode.prompt == "stdin" else None,
            output=self._kind.output,
            screen=self._screen,
            on_tool=self.on_tool,
            started=partial(on_delivery, Delivery.DELIVERED, ""),
        )

    async def go_on(self, text: str) -> Ran:
        """Run the program with this text as the conversation's next prompt, as `run` does; return how it ended.

        Raises:
            UsageError: The kind has no such mode, or the prompt is too long for an argument.
            OSError: The program cannot be started.
        """
        return await self.run(text)

    async def close(self) -> None:
        """Do nothing: each run of the program has ended."""


def _next_command(mode: HeadlessMode, said: list[str], *, has_run: bool) -> tuple[tuple[str, ...], str]:
    """Return the arguments for the newest prompt of a conversation, placeholders included, and the text to give to it.

    A program that can continue a conversation gets the newest prompt alone, any other all prompts so far in one text.

    Args:
        mode: How the program runs without a person.
        said: All prompts of the conversation, the newest last.
        has_run: Whether the program has run for an earlier prompt.
    """
    if has_run and mode.again:
        return mode.again, said[-1]
    return mode.argv, "\n\n---\n\n".join(said)
