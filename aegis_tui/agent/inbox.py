"""The inbox of a running instance: prompts, in order, and short notices about events that concern it (AGENT-6)."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from aegis_tui.agent.hand_in import TaskContext
from aegis_tui.domain import ids
from aegis_tui.ports.hub_link import HubEvent
from aegis_tui.sdk.notice_box import Notice, NoticeBox

FOLLOWED = (
    "message:sent",
    "partition:changed",
    "scope:granted",
    "lock:broken",
    "lock:expired",
    "conflict:detected",
    "code:written",
    "plan:amendment",
    "fix:suggested",
    "run:halted",
    "run:resumed",
)
"""The event types that an instance subscribes to."""

_LINE_CHARS = 400


@dataclass(frozen=True, slots=True)
class Prompt:
    """A text that starts a task or continues it, its sender (`source`), and the task context that came with it."""

    text: str
    source: str
    context: Mapping[str, Any] = field(default_factory=dict)
    seq: int | None = None
    """The number of the message that it came with; None if a person typed it in the pane."""
    act: Literal["prompt", "turn", "submit", "quit"] = "prompt"
    """Anything but `prompt` is what a person has done in the program's own interface (`hosted.runner.PersonAct`), and
    has no text."""

    @property
    def guidance(self) -> str:
        """What all instances with this kind of task are told; empty if there is nothing."""
        return str(self.context.get("guidance") or "")


class Inbox:
    """Holds prompts and notices until the next turn begins. A running tool call is never interrupted.

    Args:
        agent_id: The instance.
        box: Where notices wait that others may bring to the model first; without it, they wait here.
    """

    def __init__(self, agent_id: str, box: NoticeBox | None = None) -> None:
        self._agent_id, self._box = agent_id, box
        self._spec_id = ""
        """The spec that the newest prompt with one named."""
        self._prompts: deque[Prompt] = deque()
        self._notices: list[Notice] = []
        self._arrived = asyncio.Event()
        self._may_go = asyncio.Event()
        self._may_go.set()
        self._seen: set[int] = set()
        self._related_writes: set[tuple[str, str]] = set()
        """The senders and files of which it was told because they have to do with its own."""
        self.last_seq = 0
        """The sequence number of the newest event that was received."""

    def is_addressed(self, event: HubEvent) -> bool:
        """Return whether the field `to` of a `message:sent` event names this instance, by its short or its full id."""
        to = str(event.data.get("to", ""))
        return ids.instance_id(to) == ids.instance_id(self._agent_id)

    def take(
        self, event: HubEvent, *, read_paths: Collection[str], lost_paths: Collection[str], relation: str = ""
    ) -> bool:
        """Process one event and return True; return False for an event whose `seq` was processed before.

        A message to this instance becomes a prompt or a notice, any other event that concerns it a notice; `run:halted`
        and `run:resumed` set `is_halted`. Other events have no effect.

        Args:
            event: The event.
            read_paths: Files that the instance has read or written.
            lost_paths: Paths of locks that this event took from the instance.
            relation: How the file that the event is about has to do with `read_paths`; told once for sender and file.
        """
        if event.seq in self._seen:
            return False
        self._seen.add(event.seq)
        self.last_seq = max(self.last_seq, event.seq)
        if event.type == "message:sent":
            self._take_message(event)
        elif event.type == "run:halted":
            self._may_go.clear()
        elif event.type == "run:resumed":
            self._may_go.set()
        elif line := notice_line(
            event, self._agent_id, read_paths=read_paths, lost_paths=lost_paths, spec_id=self._spec_id
        ) or self._related(event, relation):
            self.add_notice(line)
        return True

    def pass_over(self, event: HubEvent) -> bool:
        """Note that an event has been dealt with, so that `take` ignores it; return whether it was new."""
        is_new = event.seq not in self._seen
        self._seen.add(event.seq)
        self.last_seq = max(self.last_seq, event.seq)
        return is_new

    def _related(self, event: HubEvent, relation: str) -> str:
        """Return the notice about a write to a file that has to do with files of the instance; empty if told before."""
        write = (event.agent_id or "", str(event.data.get("file")))
        if not relation or event.type != "code:written" or event.agent_id == self._agent_id:
            return ""
        if write in self._related_writes:
            return ""
        self._related_writes.add(write)
        return f"{event.agent_id} changed {write[1]} in its own worktree; {relation}"

    def add_prompt(self, prompt: Prompt) -> None:
        """Append a prompt to the queue, and wake `next_prompt`."""
        self._prompts.append(prompt)
        self._arrived.set()

    def add_notice(self, line: str, seq: int | None = None) -> None:
        """Queue a line, which the model gets before its next turn; it is cut to 400 characters.

        Args:
            line: The line.
            seq: The number of the message that it is; None if it is about another event.
        """
        notice = Notice(line[:_LINE_CHARS], seq)
        try:
            if self._box is None:
                self._notices.append(notice)
            else:
                self._box.put(notice)
        except OSError:
            self._notices.append(notice)

    @property
    def is_halted(self) -> bool:
        """Whether the run is halted: no new turn may begin."""
        return not self._may_go.is_set()

    async def clear_to_go(self) -> None:
        """Wait until the run is not halted; returns at once if it is not."""
        await self._may_go.wait()

    async def next_prompt(self) -> Prompt:
        """Remove the next prompt from the queue and return it; wait for one if there is none."""
        while not self._prompts:
            self._arrived.clear()
            await self._arrived.wait()
        return self._prompts.popleft()

    def drain_for(self, context: TaskContext) -> tuple[list[Prompt], list[str]]:
        """Remove and return the prompts at the head of the queue that belong to the running task, and all notices.

        Both may be empty, and both are oldest first. A prompt that names no piece and no review belongs to it.

        Args:
            context: What the prompts of the running task have named so far.
        """
        prompts: list[Prompt] = []
        while self._prompts and not context.is_other_piece(self._prompts[0].context):
            prompts.append(self._prompts.popleft())
        return prompts, self.drain_notices()

    def drain_notices(self) -> list[str]:
        """Remove and return the lines that the model has not got yet, oldest first; empty if there are none."""
        return [notice.line for notice in self.take_notices()]

    def take_notices(self) -> list[Notice]:
        """Remove and return the notices that the model has not got yet, each with its number if it is a message.

        Oldest first; empty if there are none.
        """
        notices, self._notices = self._notices, []
        return [*self._box.take(), *notices] if self._box is not None else notices

    def _take_message(self, event: HubEvent) -> None:
        if not self.is_addressed(event):
            return
        text = str(event.data.get("text", ""))
        if event.data.get("kind", "note") == "prompt":
            context = event.data.get("context")
            known = context if isinstance(context, Mapping) else {}
            self._spec_id = str(known.get("spec_id") or self._spec_id)
            self.add_prompt(Prompt(text, event.agent_id or "hub", known, event.seq))
        else:
            self.add_notice(f"{event.agent_id} says: {text}", event.seq)


def notice_line(
    event: HubEvent, agent_id: str, *, read_paths: Collection[str], lost_paths: Collection[str], spec_id: str = ""
) -> str | None:
    """Return the notice that an instance gets about an event, or None if the event does not concern it.

    It is about the instance's partition, a lock that it lost, a conflict in or another's write to a file of
    `read_paths`, an amendment of the plan, or what a reviewer suggests for its piece (REV-3).

    Args:
        event: The event.
        agent_id: The instance.
        read_paths: Files that the instance has read or written.
        lost_paths: Paths of locks that this event took from it.
        spec_id: The spec that it works on; empty if it works on none.
    """
    data = event.data
    match event.type:
        case "partition:changed" if event.agent_id == agent_id:
            return f"your partition is now {', '.join(map(str, data.get('globs', ())))}"
        case "lock:broken" | "lock:expired" if lost_paths:
            return f"you no longer hold the lock on {', '.join(lost_paths)} ({event.type.partition(':')[2]})"
        case "conflict:detected" if data.get("path") in read_paths and not _is_own_crossing(data, spec_id):
            return f"{data.get('a')} and {data.get('b')} both change {data.get('path')}"
        case "code:written" if event.agent_id != agent_id and data.get("file") in read_paths:
            return f"{event.agent_id} changed {data.get('file')} in its own worktree"
        case "fix:suggested" if data.get("to") == agent_id and not data.get("prompted"):
            return _suggestion(data)
        case "broadcast" if event.agent_id != agent_id and data.get("event") == "plan:amendment":
            return _amendment(event.agent_id, data.get("data"), spec_id)
        case _:
            return None


def _suggestion(data: Mapping[str, Any]) -> str:
    """Return the notice about a finding that no prompt has."""
    value = data.get("finding")
    finding = value if isinstance(value, Mapping) else {}
    line = f":{finding['line']}" if finding.get("line") else ""
    advice = f"; suggestion: {finding['suggestion']}" if finding.get("suggestion") else ""
    place = f"{data.get('file') or data.get('piece')}{line}"
    return f"a review suggests for {place}: {finding.get('msg', '')} ({finding.get('severity')}){advice}"


def _is_own_crossing(data: Mapping[str, Any], spec_id: str) -> bool:
    """Return whether a conflict is one of the spec's feature in which the same lines were changed.

    Its worker gets a message about it.
    """
    names = [str(data.get(name) or "") for name in ("a", "b")]
    return data.get("kind") == "hot" and any(name and _is_of_feature(spec_id, name) for name in names)


def _is_of_feature(spec_id: str, feature: str) -> bool:
    return spec_id == feature or spec_id.endswith(f"-{feature}")


def _amendment(sender: str, data: object, spec_id: str) -> str | None:
    """Return the notice about an amendment of the plan; None if it concerns another feature than that of the spec.

    Args:
        sender: Who proposed it.
        data: The data of the event (contract 6).
        spec_id: The spec that the instance works on.
    """
    amendment = data if isinstance(data, Mapping) else {}
    feature = amendment.get("feature")
    if isinstance(feature, str) and feature and not _is_of_feature(spec_id, feature):
        return None
    reason = amendment.get("reason")
    why = f", because {reason}" if isinstance(reason, str) and reason else ""
    return f"{sender} suggests a change of the plan: {amendment.get('suggestion', '')}{why}"
