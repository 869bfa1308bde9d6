"""Events as lines."""

from __future__ import annotations

from datetime import datetime

from aegis_tui.domain.event import Event
from aegis_tui.domain.ids import HUB, PERSON, instance_id
from aegis_tui.domain.words import sentence
from aegis_tui.tui.text import Ink, Span, fit, ident_width, inert

_LOUD: dict[str, Ink] = {
    "stage:changed": "accent",
    "gate:passed": "good",
    "gate:blocked": "bad",
    "qa:base-checked": "warn",
    "instance:asking": "warn",
    "instance:lost": "bad",
    "lock:queued": "warn",
    "lock:deadlock": "bad",
    "conflict:detected": "bad",
    "conflict:resolved": "good",
    "merge:applied": "good",
    "merge:rejected": "bad",
    "piece:reopened": "warn",
    "piece:stuck": "warn",
    "run:committed": "good",
    "run:finished": "accent",
    "run:started": "accent",
    "design:proposed": "accent",
    "scope:requested": "warn",
}


_TABLE_WIDTH = 72
"""The smallest width, in cells, at which the types of events have a column of their own."""


def event_line(event: Event, *, width: int) -> tuple[Span, ...]:
    """Return an event as a line of about `width` cells: local time, who, type, and a sentence, which is cut to fit.

    Raises:
        ValueError: Its timestamp is not in the form of RFC 3339.
    """
    who = instance_id(event.agent_id)
    who = {HUB: "hub", PERSON: "you"}.get(who, who)
    ink = _LOUD.get(event.type, "text")
    ident = ident_width(who)
    head = (Span(local_time(event.timestamp) + " ", "muted"), Span(fit(inert(who), ident) + " ", "strong"))
    kind: Ink = "muted" if ink == "text" else ink
    room = max(8, width - 10 - ident)
    if width < _TABLE_WIDTH:
        name = fit(f"{event.type} ", min(room, len(event.type) + 1))
        return (*head, Span(name, kind), Span(fit(inert(sentence(event)), room - len(name)), ink))
    return (*head, Span(fit(event.type, 20) + " ", kind), Span(fit(inert(sentence(event)), room - 21), ink))


def local_time(timestamp: str) -> str:
    """Return an RFC 3339 timestamp as local time, `HH:MM:SS`; raise ValueError if it is not one."""
    return datetime.fromisoformat(timestamp).astimezone().strftime("%H:%M:%S")
