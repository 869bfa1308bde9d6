"""The life of one instance: join the hub, wait for prompts, work, send heartbeats, leave (AGENT-1, HUB-8)."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Coroutine
from typing import Any

from aegis_tui.agent.conversation import Conversation
from aegis_tui.agent.files import Worktree
from aegis_tui.agent.git import Git
from aegis_tui.agent.hand_in import HandIn
from aegis_tui.agent.inbox import FOLLOWED, Inbox, Prompt
from aegis_tui.agent.last_words import error_words
from aegis_tui.agent.locks import HeldLocks
from aegis_tui.agent.loop import ToolLoop
from aegis_tui.agent.progress import Progress
from aegis_tui.agent.scope import WriteScope
from aegis_tui.agent.screen import Screen
from aegis_tui.agent.settings import AgentSettings
from aegis_tui.agent.toolbox import Outcome, Toolbox
from aegis_tui.agent.writer import Writer
from aegis_tui.domain.cause import Cause, cause_of, ended
from aegis_tui.domain.prompt import notices_text, opening_text, scope_text, system_text
from aegis_tui.domain.role import traits_of
from aegis_tui.domain.role_file import Role
from aegis_tui.errors import AegisError, HubUnavailable, ModelUnavailable, Refused
from aegis_tui.ports.hub_link import HubEvent, HubLink
from aegis_tui.ports.llm import ChatModel
from aegis_tui.ports.symbols import SymbolReader

_LEAVE_TIMEOUT_S = 2.0
_RECONNECT_S = 1.0


BEAT_S = 5.0
"""Seconds between two heartbeats to the hub (contract 5)."""


class AgentSession:
    """The built-in agent of one instance, with the given hub link, model client and symbol reader."""

    def __init__(
        self,
        settings: AgentSettings,
        role: Role,
        *,
        link: HubLink,
        model: ChatModel,
        symbols: SymbolReader,
        screen: Screen,
        beat_s: float = BEAT_S,
    ) -> None:
        self._settings = settings
        self._role = role
        self._link = link
        self._model = model
        self._screen = screen
        self._beat_s = beat_s
        self.inbox = Inbox(settings.agent_id)
        self.progress = Progress(link, screen)
        self._scope = WriteScope(settings.agent_id, settings.scope)
        self._locks = HeldLocks(link)
        worktree, git = Worktree(settings.worktree), Git(settings.worktree)
        self._toolbox = Toolbox(
            role,
            worktree=worktree,
            git=git,
            writer=Writer(worktree, self._scope, self._locks, link, self.progress, screen, symbols),
            hand_in=HandIn(link, git, self._locks, self._scope),
            link=link,
            progress=self.progress,
            screen=screen,
            environment=settings.tool_environment,
        )
        self.conversation = Conversation(system_text(role.prompt))
        self._turn: asyncio.Task[Outcome] | None = None
        self._unacked: deque[int] = deque()
        self._stopping = asyncio.Event()
        self._stop_reason = "ended"
        self._stop_cause: Cause | None = None
        self._heard = asyncio.Event()

    async def run(self) -> None:
        """Join the hub, work on prompts until `stop` is called, then leave.

        Raises:
            HubUnavailable: The hub does not answer at the start.
            Refused: The hub does not let the instance join.
            ModelUnavailable: The model server does not answer or serves no model.
        """
        newest = await self._newest_seq()
        await self._join()
        model_name = await self._choose_model()
        self._screen.welcome(self._settings.agent_id, role=self._role.name, model=model_name)
        tool_loop = ToolLoop(
            self._model,
            model_name,
            conversation=self.conversation,
            toolbox=self._toolbox,
            progress=self.progress,
            screen=self._screen,
            max_turns=self._settings.max_turns,
        )
        background = [
            asyncio.create_task(self._listen(after=newest)),
            asyncio.create_task(self._beat()),
            asyncio.create_task(self._outlive_hub()),
            asyncio.create_task(self._work(tool_loop)),
        ]
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            done, _ = await asyncio.wait({stopping, *background}, return_when=asyncio.FIRST_COMPLETED)
            for task in done - {stopping}:
                await task
        except Exception as error:  # whatever ends the program is reported to the hub when it leaves
            self._end_by(error)
            raise
        finally:
            await _cancel(stopping, *background)
            await self._leave()

    def interrupt(self) -> None:
        """Cancel the current task, not the program; the conversation stays (Ctrl-C)."""
        if self._turn is not None and not self._turn.done():
            self._turn.cancel()
        else:
            self._screen.problem("no turn is running; to end the instance: aegis-tui stop")

    def stop(self, reason: str) -> None:
        """Let `run` end; `reason` is reported to the hub."""
        self._stop_reason = reason
        self._stopping.set()

    def person_says(self, line: str) -> None:
        """Queue a line that a person typed in the pane as a prompt."""
        self.inbox.add_prompt(Prompt(line, "the keyboard"))

    async def _newest_seq(self) -> int:
        """Return the hub's newest sequence number; events after it may concern this instance."""
        return int((await self._link.command("context:get")).get("seq") or 0)

    async def _join(self) -> None:
        await self._link.command(
            "agent:register", agent_type="NATIVE", instance_id=self._settings.instance_id, role=self._role.name
        )

    async def _catch_up(self) -> None:
        """Process the messages that were sent to this instance before it subscribed to events."""
        cursor: int | None = 0
        while cursor is not None:
            reply = await self._link.command("message:read", after=cursor)
            for item in reply.get("messages", ()):
                event = HubEvent(int(item["seq"]), "message:sent", str(item["sender"]), str(item["timestamp"]), item)
                await self._take(event)
            cursor = int(reply["next_after"]) if reply.get("more") else None

    async def _choose_model(self) -> str:
        """Return the model from the settings, else the first that the server lists.

        If that fails, the instance leaves the hub with the error as its cause.

        Raises:
            ModelUnavailable: The server does not answer or serves no model.
        """
        try:
            return self._settings.model or await self._first_model()
        except Exception as error:
            self._end_by(error)
            await self._leave()
            raise

    def _end_by(self, error: Exception) -> None:
        """Set the reason and the cause with which the instance leaves the hub."""
        self._stop_reason = error_words(error)
        if isinstance(error, AegisError):
            self._stop_cause = cause_of(error)
        else:
            self._stop_cause = Cause(code="agent.failed", message=ended(self._stop_reason))

    async def _first_model(self) -> str:
        names = await self._model.list_models()
        if not names:
            raise ModelUnavailable("the model server serves no model", "Start one, or set AEGIS_MODEL")
        return names[0]

    async def _leave(self) -> None:
        with contextlib.suppress(AegisError, TimeoutError):
            async with asyncio.timeout(_LEAVE_TIMEOUT_S):
                await self._locks.release_all()
                cause: dict[str, Any] = {"cause": self._stop_cause.model_dump()} if self._stop_cause else {}
                await self._link.command("agent:leave", timeout_s=_LEAVE_TIMEOUT_S, reason=self._stop_reason, **cause)

    async def _listen(self, *, after: int) -> None:
        await self._catch_up()
        newest = after
        while True:
            try:
                async for event in self._link.events(types=FOLLOWED, after=newest):
                    newest = max(newest, event.seq)
                    await self._take(event)
            except HubUnavailable as error:
                self._screen.problem(f"{error}; connecting again")
            await asyncio.sleep(_RECONNECT_S)

    async def _take(self, event: HubEvent) -> None:
        self._scope.follow(event)
        lost: list[str] = []
        if event.type in ("lock:broken", "lock:expired"):
            lost = self._locks.forget([str(event.data.get("lock_id", ""))])
        is_new = self.inbox.take(event, read_paths=self._toolbox.read_paths, lost_paths=lost)
        if is_new and event.type == "message:sent" and self.inbox.is_addressed(event):
            self._unacked.append(event.seq)
            await self._acknowledge()

    async def _acknowledge(self) -> None:
        """Acknowledge received messages; after an error the rest is acknowledged with the next heartbeat."""
        while self._unacked:
            seq = self._unacked.popleft()
            try:
                await self._link.command("ack", of=seq)
            except AegisError as error:
                self._unacked.appendleft(seq)
                self._screen.problem(f"a message could not be acknowledged: {error}")
                return

    async def _beat(self) -> None:
        while True:
            try:
                held = [grant.lock_id for grant in self._locks.grants()]
                reply = await self._link.command("heartbeat", ack_seq=self.inbox.last_seq, held=held)
                self._heard.set()
                lost = self._locks.forget(map(str, reply.get("lost", ()))) + await self._locks.renew_due()
                await self._acknowledge()
                await self.progress.tell_again()
                for path in lost:
                    self.inbox.add_notice(f"your lock of {path} is gone")
            except Refused:
                await self._rejoin()
            except AegisError as error:
                self._screen.problem(f"no heartbeat: {error}")
            await asyncio.sleep(self._beat_s)

    async def _outlive_hub(self) -> None:
        """End the agent, with its work saved in a commit, if no heartbeat succeeds for `orphan_s` seconds (PANE-8)."""
        limit_s = self._settings.orphan_s
        while True:
            self._heard.clear()
            try:
                async with asyncio.timeout(limit_s):
                    await self._heard.wait()
            except TimeoutError:
                break
        if self._turn is not None:
            await _cancel(self._turn)
        reason = f"the hub was away for {limit_s:.0f} s"
        try:
            saved = await self._toolbox.save(reason)
            kept = f"what was changed is commit {saved[:12]}" if saved else "there was nothing to save"
        except AegisError as error:
            kept = f"what was changed stays in {self._settings.worktree}: {error}"
        self._screen.problem(f"{reason}; {kept}; this agent ends")
        self.stop(reason)

    async def _rejoin(self) -> None:
        """Join again after the hub refused a heartbeat, as after its restart; end the agent if that is refused too."""
        try:
            await self._join()
        except Refused as error:
            self._screen.problem(str(error))
            self.stop("the hub no longer knows this instance")
        except AegisError as error:
            self._screen.problem(f"this instance could not join the hub again: {error}")

    async def _work(self, tool_loop: ToolLoop) -> None:
        await self.progress.enter("idle", "waiting for a prompt")
        while True:
            prompt = await self.inbox.next_prompt()
            self.progress.begin_task()
            self._admit(prompt)
            await self.progress.enter(traits_of(self._role.name).start_state)
            outcome = await self._run_turns(tool_loop)
            if outcome.state != "interrupted":
                await self.progress.enter(outcome.state, outcome.summary, outcome.cause)
            else:
                await self.progress.enter("idle", outcome.summary)

    async def _run_turns(self, tool_loop: ToolLoop) -> Outcome:
        self._turn = asyncio.create_task(tool_loop.run(self._between_turns))
        try:
            await asyncio.wait({self._turn})
            if self._turn.cancelled():
                return Outcome("interrupted", "interrupted; type to go on")
            return self._turn.result()
        finally:
            await _cancel(self._turn)

    def _admit(self, prompt: Prompt) -> None:
        """Add a prompt to the conversation; before the first one comes the context that all instances share."""
        self._toolbox.begin_task(self._toolbox.context.merged(prompt.context))
        self._screen.prompt(prompt.text, source=prompt.source)
        text = prompt.text
        if self.conversation.is_new:
            scope = self._settings.scope
            mine = scope_text(
                self._settings.agent_id,
                partition=scope.partition,
                shared=scope.shared,
                joint=scope.joint,
                owners=scope.owners,
            )
            text = opening_text(self._settings.shared_context, mine, prompt.text)
        self.conversation.add_user(text)

    async def _between_turns(self) -> None:
        if self.inbox.is_halted:
            before = self.progress.state
            await self.progress.enter("waiting", "the run is halted")
            await self.inbox.clear_to_go()
            await self.progress.enter(before)
        prompts, notices = self.inbox.drain_for(self._toolbox.context)
        if notices:
            self.conversation.add_user(notices_text(notices))
        for prompt in prompts:
            self._admit(prompt)


async def _cancel(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def feed_keyboard(session: AgentSession, lines: asyncio.Queue[str]) -> None:
    """Pass every typed line to the session, until cancelled."""
    while True:
        session.person_says(await lines.get())


async def run_beside(main: Coroutine[Any, Any, None], side: Coroutine[Any, Any, None]) -> None:
    """Run `main` to its end and `side` beside it; `side` is cancelled when `main` ends."""
    helper = asyncio.create_task(side)
    try:
        await main
    finally:
        await _cancel(helper)
