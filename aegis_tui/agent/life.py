"""What every instance does beside its work: join the hub, hear events, send heartbeats, leave (HUB-8, PANE-8)."""

from __future__ import annotations

import asyncio
import contextlib
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Collection
from typing import Any

from aegis_tui.agent.inbox import FOLLOWED, Inbox, Prompt
from aegis_tui.agent.last_words import error_words
from aegis_tui.agent.locks import HeldLocks
from aegis_tui.agent.progress import Progress
from aegis_tui.agent.scope import WriteScope
from aegis_tui.agent.screen import Screen
from aegis_tui.agent.settings import AgentSettings
from aegis_tui.agent.toolbox import TaskOutcome
from aegis_tui.domain.cause import Cause, cause_of, ended
from aegis_tui.domain.role import traits_of
from aegis_tui.errors import AegisError, HubUnavailable, Refused
from aegis_tui.ports.delivery import Delivery
from aegis_tui.ports.hub_link import HubEvent, HubLink
from aegis_tui.sdk.awake import awake_wait
from aegis_tui.sdk.notice_box import NoticeBox

_LEAVE_TIMEOUT_S = 2.0
_ANSWER_TIMEOUT_S = 5.0
"""A turn that is cancelled answers for its prompt, and must not wait for a hub that is gone."""
_RECONNECT_S = 1.0
_REASON_CHARS = 500
_BEATS_IN_ORPHAN_TIME = 3
"""So many heartbeats have to fail before an instance takes itself for one without a hub."""

BEAT_S = 5.0
"""Seconds between two heartbeats to the hub (contract 5)."""


class InstanceLife(ABC):
    """The life of one instance, around the work that a subclass does.

    Args:
        settings: Identity, addresses, files and limits.
        role: The name of its role.
        agent_type: The first part of its agent id, such as `NATIVE`.
        link: The connection to the hub.
        screen: Shows in the pane what happens.
        beat_s: Seconds between two heartbeats; less where the instance may be only a short time without a hub.
        box: Where notices wait that others may bring to the model first; without it, they wait in the inbox.
    """

    def __init__(
        self,
        settings: AgentSettings,
        role: str,
        *,
        agent_type: str,
        link: HubLink,
        screen: Screen,
        beat_s: float = BEAT_S,
        box: NoticeBox | None = None,
    ) -> None:
        self._settings = settings
        self._role_name, self._agent_type = role, agent_type
        self._link = link
        self._screen = screen
        self._beat_s = min(beat_s, settings.orphan_s / _BEATS_IN_ORPHAN_TIME)
        self.inbox = Inbox(settings.agent_id, box)
        self.progress = Progress(link, screen)
        self._scope = WriteScope(settings.agent_id, settings.scope)
        self._locks = HeldLocks(link)
        self._turn: asyncio.Task[TaskOutcome] | None = None
        self._unanswered: deque[dict[str, Any]] = deque()
        """The answers for messages that the hub has not got yet: the fields of `ack`."""
        self._stopping = asyncio.Event()
        self._stop_reason = "ended"
        self._stop_cause: Cause | None = None
        self._heard = asyncio.Event()
        self._first_note = "waiting for a prompt"
        """The note of the first state that is reported; `_prepare` may add to it."""

    @abstractmethod
    async def _prepare(self) -> None:
        """Get ready for work, after the instance has joined the hub. If it raises, the instance leaves with the error.

        Raises:
            AegisError: It cannot work.
        """

    @abstractmethod
    async def _do(self, prompt: Prompt) -> TaskOutcome:
        """Do the task of a prompt and return how it ended.

        It is cancelled by `interrupt` and at the end of the instance. An error that it raises ends the instance.
        """

    @abstractmethod
    async def _save(self, reason: str) -> str | None:
        """Commit unfinished changes and return the commit's id; None if there are none.

        Args:
            reason: Why the work ends here, for the commit's message.

        Raises:
            AegisError: They cannot be committed; the files stay as they are.
        """

    @property
    @abstractmethod
    def _read_paths(self) -> Collection[str]:
        """The files that the instance has read or written, as paths in its worktree."""

    async def run(self) -> None:
        """Join the hub, work on prompts until `stop` is called, then leave.

        Any error that ends the work is told to the hub and then raised, also one that is no AegisError.

        Raises:
            HubUnavailable: The hub does not answer at the start.
            Refused: The hub does not let the instance join.
            AegisError: The instance cannot get ready for work, for example because no model server answers.
        """
        newest = await self._newest_seq()
        await self._join()
        try:
            await self._prepare()
        except Exception as error:
            self._end_by(error)
            await self._leave()
            raise
        background = [
            asyncio.create_task(self._listen(after=newest)),
            asyncio.create_task(self._beat()),
            asyncio.create_task(self._outlive_hub()),
            asyncio.create_task(self._work()),
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
            await cancel(stopping, *background)
            await self._leave()

    def interrupt(self) -> None:
        """Cancel the current task, not the program; the conversation stays (Ctrl-C). Without one, the pane says so."""
        if self._turn is not None and not self._turn.done():
            self._turn.cancel()
        else:
            self._screen.problem(
                f"no turn is running; to end the instance: aegis-tui stop {self._settings.instance_id}"
            )

    def stop(self, reason: str) -> None:
        """Let `run` end soon, cancelling the current task; returns at once. `reason` is reported to the hub."""
        self._stop_reason = reason
        self._stopping.set()

    def person_says(self, line: str) -> None:
        """Queue a line that a person typed in the pane as a prompt."""
        self.inbox.add_prompt(Prompt(line, "the keyboard"))

    async def _newest_seq(self) -> int:
        """Return the number of the hub's newest event, 0 if it has none yet; only later ones are followed.

        Raises:
            AegisError: The hub refused or does not answer.
        """
        return int((await self._link.command("context:get")).get("seq") or 0)

    async def _join(self) -> None:
        await self._link.command(
            "agent:register",
            agent_type=self._agent_type,
            instance_id=self._settings.instance_id,
            role=self._role_name,
        )

    async def _catch_up(self) -> None:
        """Put the messages that were sent to this instance before it subscribed to events into the inbox.

        They are acknowledged as those that come later are (see `_received`).

        Raises:
            AegisError: The hub refused or does not answer.
        """
        cursor: int | None = 0
        while cursor is not None:
            reply = await self._link.command("message:read", after=cursor)
            for item in reply.get("messages", ()):
                event = HubEvent(int(item["seq"]), "message:sent", str(item["sender"]), str(item["timestamp"]), item)
                await self._take(event)
            cursor = int(reply["next_after"]) if reply.get("more") else None

    def _end_by(self, error: Exception) -> None:
        """Set the reason and the cause with which `_leave` reports the end, from the error that ends the instance."""
        self._stop_reason = error_words(error)
        if isinstance(error, AegisError):
            self._stop_cause = cause_of(error)
        else:
            self._stop_cause = Cause(code="agent.failed", message=ended(self._stop_reason))

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
        relation = await self._relation_to(event)
        is_new = self.inbox.take(event, read_paths=self._read_paths, lost_paths=lost, relation=relation)
        if is_new and event.type == "message:sent" and self.inbox.is_addressed(event):
            await self._received(event)

    async def _relation_to(self, event: HubEvent) -> str:
        """Return how a file that another instance has written has to do with `_read_paths`; empty if not, or unknown.

        A subclass that can tell overrides this; it must not raise.
        """
        return ""

    async def _received(self, event: HubEvent) -> None:
        """Tell the hub that a message that is in the inbox now is delivered; a subclass may do so later instead."""
        await self._answer(event.seq)

    async def _answer(self, *numbers: int, delivery: Delivery = Delivery.DELIVERED, reason: str = "") -> None:
        """Tell the hub what became of messages (PANE-4). Raises nothing.

        After an error, the pane shows it, and the answers are sent again with the next heartbeat.

        Args:
            numbers: The numbers of the messages.
            delivery: What became of them.
            reason: Why they were not delivered, or why that is not known; cut to 500 characters.
        """
        more = {} if delivery is Delivery.DELIVERED else {"delivery": delivery.value, "reason": reason[:_REASON_CHARS]}
        self._unanswered.extend({"of": number, **more} for number in numbers)
        await self._acknowledge()

    async def _acknowledge(self) -> None:
        """Send the answers that the hub has not got yet; after an error the rest is sent with the next heartbeat.

        Waits at most 5 s for each; the hub takes an answer that it has got already once more, without effect.
        """
        while self._unanswered:
            answer = self._unanswered.popleft()
            try:
                await self._link.command("ack", timeout_s=_ANSWER_TIMEOUT_S, **answer)
            except AegisError as error:
                self._unanswered.appendleft(answer)
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
                    self.inbox.add_notice(f"you no longer hold the lock on {path}")
            except Refused:
                await self._rejoin()
            except AegisError as error:
                self._screen.problem(f"the heartbeat failed: {error}")
            await asyncio.sleep(self._beat_s)

    async def _outlive_hub(self) -> None:
        """Wait until no heartbeat has succeeded for `orphan_s` seconds; then end the agent (PANE-8).

        Its work is saved in a commit first; the pane says where the work is, also if that fails.
        """
        limit_s = self._settings.orphan_s
        while True:
            self._heard.clear()
            try:
                await awake_wait(self._heard.wait(), limit_s)
            except TimeoutError:
                break
        if self._turn is not None:
            await cancel(self._turn)
        reason = f"the hub did not answer for {limit_s:.0f} s"
        try:
            saved = await self._save(reason)
            kept = f"the changes are in commit {saved[:12]}" if saved else "there was nothing to save"
        except AegisError as error:
            kept = f"the changes stay in {self._settings.worktree}: {error}"
        self._screen.problem(f"{reason}; {kept}; this agent ends")
        self.stop(reason)

    async def _rejoin(self) -> None:
        """Join again after the hub refused a heartbeat, as after its restart.

        End the agent if that is refused too; any other error is only shown, as the next heartbeat tries again.
        """
        try:
            await self._join()
        except Refused as error:
            self._screen.problem(str(error))
            self.stop("the hub no longer knows this instance")
        except AegisError as error:
            self._screen.problem(f"this instance could not join the hub again: {error}")

    async def _work(self) -> None:
        await self.progress.enter("idle", self._first_note)
        while True:
            prompt = await self.inbox.next_prompt()
            self.progress.begin_task()
            outcome = await self._run_turn(prompt)
            if outcome.state != "interrupted":
                await self.progress.enter(outcome.state, outcome.summary, outcome.cause)
            else:
                await self.progress.enter("idle", outcome.summary)

    async def _run_turn(self, prompt: Prompt) -> TaskOutcome:
        self._turn = asyncio.create_task(self._do(prompt))
        try:
            await asyncio.wait({self._turn})
            if self._turn.cancelled():
                return TaskOutcome("interrupted", "interrupted; type a prompt to continue")
            return self._turn.result()
        finally:
            await cancel(self._turn)

    async def _begin(self) -> None:
        """Report the state in which this role begins a task."""
        await self.progress.enter(traits_of(self._role_name).start_state)

    async def _wait_while_halted(self) -> None:
        """Return at once unless the run is halted; then report that it waits, and return when the run goes on."""
        if self.inbox.is_halted:
            before = self.progress.state
            await self.progress.enter("waiting", "the run is halted")
            await self.inbox.clear_to_go()
            await self.progress.enter(before)


async def cancel(*tasks: asyncio.Task[Any]) -> None:
    """Cancel the tasks and return when they have ended; their errors are dropped."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
