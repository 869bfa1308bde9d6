"""What a rule gives back: events to log, and the reply to the asker."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from aegis_tui.domain.event import Event
from aegis_tui.domain.ids import HUB, PERSON
from aegis_tui.domain.lock.model import Draft

ActorKind = Literal["person", "instance", "hub"]


@dataclass(frozen=True, slots=True)
class Actor:
    """Who sends a command; known from the token, never from a field (contract 2)."""

    agent_id: str
    kind: ActorKind


THE_PERSON = Actor(PERSON, "person")
THE_HUB = Actor(HUB, "hub")


@dataclass(frozen=True, slots=True)
class Decision:
    """The events a command leads to, and its reply.

    `reply` may be a function of the logged events, for answers that name a seq. `pending` means that the reply comes
    when a later event settles the request.
    """

    drafts: list[Draft] = field(default_factory=list)
    reply: dict[str, Any] | Callable[[tuple[Event, ...]], dict[str, Any]] = field(default_factory=dict)
    pending: bool = False
