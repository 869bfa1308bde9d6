"""One batch of the writer: what was asked, what was decided, and who is to be told after the commit."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from aegis_tui.domain.command import AnyCommand
from aegis_tui.domain.decision import Actor
from aegis_tui.domain.event import Event
from aegis_tui.domain.model import Key
from aegis_tui.errors import AegisError, HubUnavailable, StoreError
from aegis_tui.ports.event_log import LoggedReply, RequestKey

Reply = dict[str, Any]
ReplyFuture = asyncio.Future[Reply]


@dataclass(frozen=True, slots=True)
class Submission:
    """One request on its way to the writer."""

    command: AnyCommand
    actor: Actor
    request_id: str
    answer: ReplyFuture
    is_retryable: bool = True
    """The asker chose the id, and may send the request again under it."""

    @property
    def key(self) -> RequestKey:
        """Who asked, and the id they chose."""
        return self.actor.agent_id, self.request_id


class Instant(NamedTuple):
    """When a batch is decided: seconds on the hub's clock, and the wall clock as it is written down."""

    now: float
    timestamp: str


@dataclass(slots=True)
class Batch:
    """Decisions that become true together, when their events are on disk."""

    at: Instant
    events: list[Event] = field(default_factory=list)
    keys: set[Key] = field(default_factory=set)
    replies: dict[RequestKey, Reply] = field(default_factory=dict)
    """First answers to log with the events."""
    answers: list[tuple[ReplyFuture, Reply | AegisError]] = field(default_factory=list)
    waiting: dict[RequestKey, list[ReplyFuture]] = field(default_factory=dict)
    """Requests of this batch that a later event will answer."""
    settled: dict[RequestKey, Reply | AegisError] = field(default_factory=dict)
    """Requests, of this batch or of earlier ones, that these events answer."""

    @property
    def logged_replies(self) -> list[LoggedReply]:
        """What `EventLog.append` takes."""
        return [LoggedReply(key, reply) for key, reply in self.replies.items()]


def resolve(answer: ReplyFuture, result: Reply | AegisError) -> None:
    """Give a request its answer, unless nobody waits for it any more."""
    if answer.done():
        return
    if isinstance(result, AegisError):
        answer.set_exception(result)
    else:
        answer.set_result(result)


def stopping() -> HubUnavailable:
    """The refusal of whoever asks a hub that ends."""
    return HubUnavailable("the hub stops", "send the request again under the same id when it is back")


def internal(error: Exception) -> AegisError:
    """The refusal of a request on which the hub itself failed."""
    return AegisError(f"the hub failed on this request ({type(error).__name__})", "see the hub's log", code="internal")


def unreadable(error: Exception) -> StoreError:
    """The refusal of everything while the state cannot be brought back from the log."""
    return StoreError(f"the state cannot be brought back ({type(error).__name__})", "see the hub's log")
