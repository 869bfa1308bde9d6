"""An instance whose work another vendor's program does: one run of the program for each prompt (AGENT-1, FLOW-7)."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from typing_extensions import override

from aegis_tui.agent.git import Git
from aegis_tui.agent.hand_in import TaskContext
from aegis_tui.agent.hosted.activity import Activity
from aegis_tui.agent.hosted.answer import INTERRUPTED, PERSONS_TURN, QUIT, YOUR_TURN, DeliveryReport, failure_of
from aegis_tui.agent.hosted.finish import Finish
from aegis_tui.agent.hosted.hear import box_of
from aegis_tui.agent.hosted.home import write_home
from aegis_tui.agent.hosted.layers import find_layers
from aegis_tui.agent.hosted.limit_watch import LimitWatch
from aegis_tui.agent.hosted.patient import PatientRunner
from aegis_tui.agent.hosted.program import Ran
from aegis_tui.agent.hosted.relay import Counted
from aegis_tui.agent.hosted.runner import FollowsPerson, OnDelivery, PersonAct, ReportsActs, Runner, ignore_delivery
from aegis_tui.agent.hosted.words import later, opening, refused
from aegis_tui.agent.inbox import Prompt
from aegis_tui.agent.life import BEAT_S, InstanceLife, cancel
from aegis_tui.agent.screen import Screen
from aegis_tui.agent.session import run_beside
from aegis_tui.agent.settings import AgentSettings
from aegis_tui.agent.toolbox import TaskOutcome
from aegis_tui.domain.cause import cause_of
from aegis_tui.domain.hosting.kind_file import KindFile
from aegis_tui.domain.ids import PERSON, agent_type
from aegis_tui.domain.prompt import notices_text, scope_text
from aegis_tui.domain.role import traits_of
from aegis_tui.errors import AegisError, Refused, Unavailable, UsageError
from aegis_tui.ports.delivery import Delivery
from aegis_tui.ports.hub_link import HubEvent, HubLink
from aegis_tui.sdk.notice_box import numbers_of

MAX_REFUSED = 3
"""How often the program is told why its work was not accepted, before the task fails."""

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

    _has_run = False
    """Whether the program has got a prompt."""
    _outcome = TaskOutcome("interrupted", "")
    """How the last prompt, or the last act of a person, ended; before the first one, as if it had been interrupted."""
    _is_submitted = False
    """Whether the program has done nothing since its last submission."""
    _before_question = ""
    """The state that is reported again when the program's question is answered."""
    _title = ""
    """The first line of the newest prompt, for a commit of a program that says nothing about its work."""

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
        self._box = box_of(values["home"])
        super().__init__(
            settings,
            settings.role,
            agent_type=agent_type(name),
            link=link,
            screen=screen,
            beat_s=beat_s,
            box=self._box,
        )
        self._kind, self._team_rules, self._values, self._count = kind, team_rules, values, count
        self._runner = PatientRunner(
            runner, limits, title=kind.title, progress=self.progress, ready=self._wait_while_halted
        )
        self._git = Git(settings.worktree)
        self._finish = self._finishing()
        self.activity = Activity(kind.tools, values["home"], self._git, progress=self.progress, role=settings.role)
        runner.on_tool = self.activity.tool
        self._person = runner if isinstance(runner, FollowsPerson) else None
        self._reporter = runner if isinstance(runner, ReportsActs) else None
        if self._reporter is not None:
            self._reporter.on_act, self._reporter.on_question = self.activity.act, self._question
        self._is_handled = asyncio.Event()
        """Set once the person's act that was queued last is handled."""
        self._context = TaskContext()

    def _finishing(self) -> Finish:
        return Finish(
            self._role_name,
            self._settings.agent_id,
            link=self._link,
            git=self._git,
            locks=self._locks,
            scope=self._scope,
            progress=self.progress,
            screen=self._screen,
        )

    @property
    def _read_paths(self) -> Collection[str]:
        return self.activity.touched

    @override
    async def run(self) -> None:
        """Do the same as `InstanceLife.run`, and follow what a person does in the program's own interface.

        Raises:
            AegisError: As there.
        """
        if self._person is None:
            await super().run()
        else:
            await run_beside(super().run(), self._follow_person(self._person))

    async def _follow_person(self, person: FollowsPerson) -> None:
        """Queue what a person does between the program's turns, one act after the other."""
        while True:
            act = await person.next_act()
            self._is_handled.clear()
            self.inbox.add_prompt(Prompt("", "the person, in the program", act=act))
            await self._is_handled.wait()

    @override
    def person_says(self, line: str) -> None:
        """Take a line that a person typed in the pane: as the answer that the program waits for, or as a prompt."""
        if self._reporter is None or not self._reporter.answer(line):
            super().person_says(line)

    @override
    async def _take(self, event: HubEvent) -> None:
        if self._reporter is not None and event.type == "message:sent" and event.agent_id == PERSON:
            text = str(event.data.get("text", ""))
            if self.inbox.is_addressed(event) and self._reporter.answer(text) and self.inbox.pass_over(event):
                await self._answer(event.seq)
                return
        await super()._take(event)

    async def _question(self, title: str | None) -> None:
        """Report that the program asks a person for a permission, or with None the state before, once they answered."""
        if title is None:
            await self.progress.enter(self._before_question)
            return
        self._before_question = self.progress.state
        note = f"{title}: send the number of your answer, or type it in its pane"
        await self.progress.enter("asking", note, source="acp", evidence=title)

    async def _received(self, event: HubEvent) -> None:
        """Do nothing: a message is acknowledged when the program has it, not already when the wrapper has."""

    async def _save(self, reason: str) -> str | None:
        return await self._finish.save(self._context, reason)

    async def _prepare(self) -> None:
        """Write the program's configuration files; show the instance and what refuses its wrong writes in the pane.

        If a layer that should refuse wrong writes does not work, that is shown too; only in strict mode is it an error.

        Raises:
            UsageError: The kind cannot take this role; nothing was written.
            Unavailable: A file cannot be written.
            Refused: In strict mode, such a layer does not work (code `agent.guard`); the files were written.
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
        try:
            self._outcome = await self._done(prompt)
        except asyncio.CancelledError:
            self._outcome = TaskOutcome("interrupted", INTERRUPTED)
            raise
        finally:
            self._is_handled.set()
        return self._outcome

    async def _done(self, prompt: Prompt) -> TaskOutcome:
        """Do the task of a prompt, or handle what a person has done; return how that ended."""
        person = self._person
        if prompt.act != "prompt" and (person is None or not person.is_due(prompt.act)):
            return self._outcome
        self._adopt(prompt)
        notices = self.inbox.take_notices() if prompt.act == "prompt" else []
        self.activity.begin_task()
        following = asyncio.create_task(self.activity.follow())
        on_delivery = DeliveryReport(self._answer, numbers_of(notices) + ([] if prompt.seq is None else [prompt.seq]))
        try:
            await self._begin_work(prompt)
            if prompt.act != "prompt" and person is not None:
                return await self._followed(person, prompt.act)
            return await self._answered(self._text_of(prompt, [notice.line for notice in notices]), on_delivery)
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

    def _adopt(self, prompt: Prompt) -> None:
        """Take over the task, spec and review that a prompt names, and show the prompt in the pane.

        For another spec, the record of used fencing tokens is cleared.
        """
        context = self._context.merged(prompt.context)
        if context.spec_id != self._context.spec_id:
            self._locks.used_tokens.clear()
        self._context = context
        self._screen.prompt(prompt.text or f"({prompt.act})", source=prompt.source)
        self._title = next(iter(prompt.text.strip().splitlines()), self._title).lstrip("# ")[:_TITLE_CHARS]

    async def _begin_work(self, prompt: Prompt) -> None:
        """Report the state in which the role works, for a prompt and for a turn of a person; not for another act."""
        if prompt.act == "prompt":
            await self._begin()
        elif prompt.act == "turn":
            await self.progress.enter(traits_of(self._role_name).start_state, PERSONS_TURN)

    async def _answered(self, text: str, on_delivery: OnDelivery) -> TaskOutcome:
        """Let the program work on a prompt of the hub, submit the work, and return the outcome.

        If a person has interrupted it in its own interface, nothing is submitted unless they ask for it: the outcome is
        `interrupted`. If they go on at once with a prompt of their own, that belongs to the same work.

        Args:
            text: The prompt.
            on_delivery: Called when it is known what became of it.

        Raises:
            AegisError: The program failed, or its work was refused too often or for good.
            OSError: The program cannot be started.
        """
        ran = await self._prompted(text, on_delivery)
        while self._person and self._person.is_due("turn"):
            self._is_submitted = False
            ran = await self._counted(self._runner.until_done(self._person.follow("turn")))
        asks, said = self._person and self._person.takes_submission(), self._box.take_submission()
        if asks:
            ran = replace(ran, code=0, says_failed=False)
        elif ran.is_interrupted:
            return TaskOutcome("interrupted", INTERRUPTED)
        return await self._until_accepted(ran, said or "")

    async def _followed(self, person: FollowsPerson, act: PersonAct) -> TaskOutcome:
        """Handle what a person has done in the program's own interface, and return the outcome.

        Work is submitted if the person or the program asks for it, or if the program ends by itself after a prompt of
        the person, unless they interrupted it.

        Args:
            person: Knows what they have done.
            act: What is due.

        Raises:
            AegisError: The work was refused too often or for good.
            OSError: The program cannot be started.
        """
        is_turn = act == "turn"
        is_theirs = is_turn or self._outcome.summary == YOUR_TURN
        self._is_submitted = self._is_submitted and not is_turn
        ran = await self._counted(self._runner.until_done(person.follow(act)))
        asks, said = person.takes_submission(), self._box.take_submission()
        says_done = ran.is_ok and not ran.is_interrupted and (said is not None or (is_theirs and not ran.is_alive))
        if asks or says_done:
            if self._is_submitted and not await self._git.changed_paths(None):
                return self._outcome
            return await self._until_accepted(replace(ran, code=0, says_failed=False), said or "")
        if is_turn and ran.is_alive:
            return TaskOutcome("interrupted", INTERRUPTED if ran.is_interrupted else YOUR_TURN)
        if not is_turn and self._outcome.state != "interrupted":
            return self._outcome
        if not is_turn:
            await self.progress.report(QUIT)  # the state does not change
        return TaskOutcome("interrupted", QUIT)

    async def _until_accepted(self, ran: Ran, said: str) -> TaskOutcome:
        """Submit the work, and tell the program what was wrong until it is accepted; return the outcome.

        If a person interrupts the program meanwhile, the outcome is `interrupted`.

        Args:
            ran: How the program's work ended.
            said: What it has said about it through MCP; empty if it has said nothing.

        Raises:
            AegisError: The program failed, or its work was refused too often or for good.
            OSError: The program cannot be started.
        """
        for attempt in range(MAX_REFUSED + 1):
            if not ran.is_ok:
                raise failure_of(self._kind, ran)
            try:
                outcome = await self._finish.task(self._context, said or ran.summary or self._title)
            except Refused as error:
                if attempt == MAX_REFUSED:
                    raise
                self._screen.problem(str(error))
                ran = await self._prompted(refused(error))
                said = self._box.take_submission() or said
            else:
                self._is_submitted = True
                return outcome
            if ran.is_interrupted:
                return TaskOutcome("interrupted", INTERRUPTED)
        raise RuntimeError("the last attempt neither returned nor raised")

    async def _prompted(self, text: str, on_delivery: OnDelivery = ignore_delivery) -> Ran:
        """Run the program with a prompt once the run is not halted, and return how that went; errors of `Runner.run`.

        Args:
            text: The prompt.
            on_delivery: Called when it is known what became of it.
        """
        await self._wait_while_halted()
        self._has_run, self._is_submitted = True, False
        return await self._counted(self._runner.run(text, on_delivery))

    async def _counted(self, work: Coroutine[Any, Any, Ran]) -> Ran:
        """Let the program work, return how that went, and note the tokens that the gateway has counted by then.

        Errors of the work are raised.
        """
        ran = await work
        if counted := await self._count():
            self.progress.usage = counted.usage
        return ran

    def _text_of(self, prompt: Prompt, notices: list[str]) -> str:
        """Return a prompt as the program gets it, with the lines that have waited for it.

        The first one begins with the rules, the scope and what the instances share.
        """
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
