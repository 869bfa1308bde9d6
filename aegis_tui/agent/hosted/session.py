"""An instance whose work another vendor's program does: one run of the program for each prompt (AGENT-1, FLOW-7)."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Collection, Mapping
from pathlib import Path

from aegis_tui.agent.git import Git
from aegis_tui.agent.hand_in import TaskContext
from aegis_tui.agent.hosted.activity import Activity
from aegis_tui.agent.hosted.finish import Finish
from aegis_tui.agent.hosted.hear import TOOL_CALLS, listening_environment
from aegis_tui.agent.hosted.home import write_home
from aegis_tui.agent.hosted.layers import find_layers
from aegis_tui.agent.hosted.limit_watch import LimitWatch
from aegis_tui.agent.hosted.patient import PatientRunner
from aegis_tui.agent.hosted.program import Ran
from aegis_tui.agent.hosted.relay import Counted
from aegis_tui.agent.hosted.runner import OnDelivery, Runner
from aegis_tui.agent.hosted.tool_calls import ToolCallLog
from aegis_tui.agent.hosted.words import later, opening, refused
from aegis_tui.agent.inbox import Prompt
from aegis_tui.agent.life import BEAT_S, InstanceLife, cancel
from aegis_tui.agent.screen import Screen
from aegis_tui.agent.settings import AgentSettings
from aegis_tui.agent.toolbox import TaskOutcome
from aegis_tui.domain.cause import cause_of
from aegis_tui.domain.hosting.kind_file import KindFile
from aegis_tui.domain.ids import agent_type
from aegis_tui.domain.prompt import notices_text, scope_text
from aegis_tui.domain.role import traits_of
from aegis_tui.errors import AegisError, Refused, Unavailable, UsageError
from aegis_tui.ports.hub_link import HubEvent, HubLink
from aegis_tui.ports.terminal import Delivery
from aegis_tui.sdk.notice_box import NOTICES, NoticeBox, numbers_of

MAX_REFUSED = 3
"""How often the program is told why its work was not accepted, before the task fails."""

INTERRUPTED = "the program was interrupted in its pane; nothing was submitted, and the next prompt continues the work"

_TITLE_CHARS = 200


class HostedSession(InstanceLife):
    """The wrapper of one instance: it joins the hub, runs the program for each prompt, commits and submits.

    Args:
        settings: Identity, addresses, files and limits.
        name: The name of the kind.
        kind: Its description.
        team_rules: The text of the team's own file of the role; empty if there is none.
        link: The connection to the hub.
        screen: Shows in the pane what happens.
        values: The placeholders of the kind file.
        runner: Runs the program.
        limits: Knows whether the program is at its usage limit.
        count: Returns what the gateway has counted for the instance; None if it does not answer.
        beat_s: Seconds between two heartbeats.
    """

    def __init__(
        self,
        settings: AgentSettings,
        name: str,
        kind: KindFile,
        *,
        team_rules: str,
        link: HubLink,
        screen: Screen,
        values: Mapping[str, str],
        runner: Runner,
        limits: LimitWatch,
        count: Callable[[], Awaitable[Counted | None]],
        beat_s: float = BEAT_S,
    ) -> None:
        listening = listening_environment(values["home"])
        super().__init__(
            settings,
            settings.role,
            agent_type=agent_type(name),
            link=link,
            screen=screen,
            beat_s=beat_s,
            box=NoticeBox(Path(listening[NOTICES])),
        )
        self._kind, self._team_rules = kind, team_rules
        self._values, self._count = values, count
        self._runner = PatientRunner(
            runner, limits, title=kind.title, progress=self.progress, ready=self._wait_while_halted
        )
        self._git = Git(settings.worktree)
        self._finish = self._finishing()
        calls = ToolCallLog(Path(listening[TOOL_CALLS]))
        role = traits_of(settings.role)
        self.activity = Activity(kind.tools, calls, self._git, progress=self.progress, role=role)
        runner.on_tool = self.activity.tool
        self._context = TaskContext()
        self._has_run = False
        self._title = ""
        """The first line of the newest prompt, for a commit of a program that says nothing about its work."""

    def _finishing(self) -> Finish:
        return Finish(
            self._role_name,
            self._settings.agent_id,
            link=self._link,
            git=self._git,
            locks=self._locks,
            scope=self._scope,
            progress=self.progress,
        )

    @property
    def _read_paths(self) -> Collection[str]:
        return self.activity.touched

    async def _received(self, event: HubEvent) -> None:
        """Answer for nothing yet: a message is delivered when the program has it, not when the wrapper has."""

    async def _save(self, reason: str) -> str | None:
        return await self._finish.save(self._context, reason)

    async def _prepare(self) -> None:
        """Write the program's configuration files; show the instance and what refuses its wrong writes in the pane.

        Raises:
            UsageError: The kind cannot take this role.
            Unavailable: A file cannot be written.
            Refused: In strict mode, a layer that should refuse wrong writes does not (code `agent.guard`).
        """
        if not self._kind.can_be(self._role_name):
            raise UsageError(f"{self._kind.title} cannot be a {self._role_name}", "choose another kind for this role")
        try:
            write_home(Path(self._values["home"]), self._kind.files, self._values)
        except OSError as error:
            raise Unavailable(f"the program's configuration cannot be written: {error}") from error
        self._screen.welcome(self._settings.agent_id, role=self._role_name, model=self._values["model"])
        layers = await find_layers(self._settings, self._kind, self._values)
        self._screen.action("Writes", layers.words)
        if layers.problem:
            self._screen.problem(layers.problem)
            if os.environ.get("AEGIS_STRICT"):
                hint = "without --sandbox strict it would work; writes outside the partition are refused at the commit"
                raise Refused(f"strict mode: {layers.problem}", hint, code="agent.guard", is_certain=True)
        self._first_note += f"; writes: {layers.words}"
        self.progress.write_checks = layers.words

    async def _do(self, prompt: Prompt) -> TaskOutcome:
        context = self._context.merged(prompt.context)
        if context.spec_id != self._context.spec_id:
            self._locks.used_tokens.clear()
        self._context = context
        self._screen.prompt(prompt.text, source=prompt.source)
        await self._begin()
        self._title = next(iter(prompt.text.strip().splitlines()), "").lstrip("# ")[:_TITLE_CHARS]
        notices = self.inbox.take_notices()
        text = self._text_of(prompt, [notice.line for notice in notices])
        self.activity.begin_task()
        following = asyncio.create_task(self.activity.follow())
        on_delivery = _Once(self._answer, numbers_of(notices) + ([] if prompt.seq is None else [prompt.seq]))
        try:
            return await self._work_until_accepted(text, on_delivery)
        except AegisError as error:
            await on_delivery(Delivery.REFUSED, error.message)
            return TaskOutcome("failed", str(error), cause_of(error))
        except OSError as error:
            failure = Unavailable(f"the program cannot be started: {error}", self._kind.install, code="agent.program")
            await on_delivery(Delivery.REFUSED, failure.message)
            return TaskOutcome("failed", str(failure), cause_of(failure))
        finally:
            await cancel(following)
            await on_delivery(Delivery.REFUSED, "the turn was interrupted before the program got it")

    async def _work_until_accepted(self, text: str, on_delivery: OnDelivery) -> TaskOutcome:
        """Run the program until its work is accepted, and return the outcome; after a refusal, tell it what was wrong.

        If a person has interrupted it in its own interface, nothing is submitted: the outcome is `interrupted`.

        Args:
            text: The first prompt.
            on_delivery: Called when it is known what became of this prompt.

        Raises:
            AegisError: The program failed, or its work was refused too often or for good.
            OSError: The program cannot be started.
        """
        for attempt in range(MAX_REFUSED + 1):
            await self._wait_while_halted()
            self._has_run = True
            ran = await self._runner.run(text, on_delivery)
            if counted := await self._count():
                self.progress.usage = counted.usage
            if ran.is_interrupted:
                return TaskOutcome("interrupted", INTERRUPTED)
            if not ran.is_ok:
                raise _failure(self._kind, ran)
            try:
                return await self._finish.task(self._context, ran.summary or self._title)
            except Refused as error:
                if attempt == MAX_REFUSED:
                    raise
                self._screen.problem(str(error))
                text = refused(error)
        raise RuntimeError("the last attempt neither returned nor raised")

    def _text_of(self, prompt: Prompt, notices: list[str]) -> str:
        """Return a prompt as the program gets it, with the lines that have waited for it."""
        if self._has_run:
            return later(prompt.text, notices)
        scope = self._settings.scope
        mine = scope_text(self._settings.agent_id, partition=scope.partition, moved=scope.moved)
        text = opening(
            self._kind,
            role=self._role_name,
            team_rules=self._team_rules,
            worktree=str(self._settings.worktree),
            shared_context=self._settings.shared_context,
            scope=mine,
            guidance=prompt.guidance,
            brief=prompt.text,
        )
        return f"{text}\n{notices_text(notices)}\n" if notices else text


class _Once:
    """Answers for messages when it is known what became of them; later answers have no effect.

    Args:
        answer: Sends an answer for each of the numbers to the hub.
        numbers: The numbers of the messages.
    """

    def __init__(self, answer: Callable[..., Awaitable[None]], numbers: list[int]) -> None:
        self._answer, self._numbers = answer, numbers

    async def __call__(self, delivery: Delivery, reason: str) -> None:
        numbers, self._numbers = self._numbers, []
        await self._answer(*numbers, delivery=delivery, reason=reason)


def _failure(kind: KindFile, ran: Ran) -> AegisError:
    how = "says that it failed" if ran.code == 0 else f"ended with exit code {ran.code}"
    tail = f":\n{ran.last_lines}" if ran.last_lines else ""
    return Unavailable(
        f"{kind.title} {how}{tail}", "aegis-tui transcript shows all of its output", code="agent.program"
    )
