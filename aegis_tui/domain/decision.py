"""The result of a rule: events to log, and the reply to the sender of the command."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from aegis_tui.domain.event import Event
from aegis_tui.domain.ids import HUB, PERSON
from aegis_tui.domain.lock.model import Draft
from aegis_tui.domain.wire.reply import AnyReply

ActorKind = Literal["person", "instance", "hub"]


@dataclass(frozen=True, slots=True)
class Actor:
    """The sender of a command; known from the token, never from a field (contract 2)."""

    agent_id: str
    kind: ActorKind


THE_PERSON = Actor(PERSON, "person")
THE_HUB = Actor(HUB, "hub")


@dataclass(frozen=True, slots=True)
class Decision:
    """The events that a command leads to, and its reply.

    `reply` may be a function of the logged events, for replies that name a seq. `pending` means that the final reply
    comes when a later event answers the request.
    """

    drafts: list[Draft] = field(default_factory=list)
    reply: AnyReply | Callable[[tuple[Event, ...]], AnyReply] = field(default_factory=dict)
    pending: bool = False
