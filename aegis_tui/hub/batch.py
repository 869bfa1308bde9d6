"""One batch of the writer: its requests, what was decided, and the replies to send after its events are on disk."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import NamedTuple

from aegis_tui.domain.command import AnyCommand
from aegis_tui.domain.decision import Actor
from aegis_tui.domain.event import Event
from aegis_tui.domain.model import Key
from aegis_tui.domain.wire.reply import AnyReply
from aegis_tui.errors import AegisError, HubUnavailable, StoreError
from aegis_tui.ports.clock import Clock
from aegis_tui.ports.event_log import LoggedReply, RequestKey

Reply = AnyReply
ReplyFuture = asyncio.Future[Reply]


@dataclass(frozen=True, slots=True)
class Submission:
    """One request in the queue of the writer."""

    command: AnyCommand
    actor: Actor
    request_id: str
    answer: ReplyFuture
    is_retryable: bool = True
    """True when the sender chose the id, and so may send the request again with it."""

    @property
    def key(self) -> RequestKey:
        """The agent id of the sender, and the request id."""
        return self.actor.agent_id, self.request_id


class Instant(NamedTuple):
    """The time at which a batch is decided: seconds on the hub's clock, and the wall-clock time for its events."""

    now: float
    timestamp: str

    @classmethod
    def of(cls, clock: Clock) -> Instant:
        """Return the present reading of both clocks: seconds for deadlines, and a timestamp for events."""
        return cls(clock.now(), clock.timestamp())


@dataclass(slots=True)
class Batch:
    """Decisions that take effect together, when their events are on disk."""

    at: Instant
    events: list[Event] = field(default_factory=list)
    keys: set[Key] = field(default_factory=set)
    replies: dict[RequestKey, Reply] = field(default_factory=dict)
    """The first replies to requests, to log with the events."""
    answers: list[tuple[ReplyFuture, Reply | AegisError]] = field(default_factory=list)
    waiting: dict[RequestKey, list[ReplyFuture]] = field(default_factory=dict)
    """Requests of this batch that a later event will answer."""
    settled: dict[RequestKey, Reply | AegisError] = field(default_factory=dict)
    """Requests, of this batch or of earlier ones, that these events answer."""

    @property
    def logged_replies(self) -> list[LoggedReply]:
        """The replies that are to be logged with the events, in the form that `EventLog.append` takes."""
        return [LoggedReply(key, reply) for key, reply in self.replies.items()]


def resolve(answer: ReplyFuture, result: Reply | AegisError) -> None:
    """Set the result of a request's future, or its exception for an error; no effect if it is done or cancelled."""
    if answer.done():
        return
    if isinstance(result, AegisError):
        answer.set_exception(result)
    else:
        answer.set_result(result)


def stopping() -> HubUnavailable:
    """Return, not raise, the error for a request to a hub that is stopping; the same request can be sent again."""
    return HubUnavailable("the hub is stopping", "send the request again under the same id when it is back")


def internal(error: Exception) -> AegisError:
    """Return, not raise, the error for a request on which the hub failed: code `internal`, with the type of `error`."""
    return AegisError(
        f"the hub failed on this request ({type(error).__name__})",
        "see logs/hub.log in the state folder",
        code="internal",
    )


def unreadable(error: Exception) -> StoreError:
    """Return, not raise, the error for all requests while the state cannot be rebuilt from the log.

    It names only the type of `error`.
    """
    return StoreError(
        f"the state cannot be rebuilt from the log ({type(error).__name__})", "see logs/hub.log in the state folder"
    )
