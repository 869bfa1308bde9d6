"""Events: recorded changes, in the order in which they happened (contract 6).

`seq` counts logged events only and has no gaps. An event is never changed; `event_from_wire` converts events that an
older version wrote to the newest form.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from aegis_tui.domain.instance.events import InstanceEvent
from aegis_tui.domain.lock.events import LockEvent
from aegis_tui.domain.message.events import MessageEvent
from aegis_tui.domain.model import SCHEMA_VERSION, by_type
from aegis_tui.domain.run.events import RunEvent
from aegis_tui.domain.scope.events import ScopeEvent
from aegis_tui.domain.spec.events import SpecEvent
from aegis_tui.domain.upcast import lift_event
from aegis_tui.domain.wire.answer import Envelope
from aegis_tui.errors import StoreError

AnyEventData = InstanceEvent | LockEvent | MessageEvent | RunEvent | SpecEvent | ScopeEvent

_DATA: dict[str, type[AnyEventData]] = by_type(AnyEventData)


@dataclass(frozen=True, slots=True)
class Event:
    """One logged event.

    `agent_id` is the agent id of the instance that acted or is concerned, `person`, or `hub`. `timestamp` is RFC 3339
    UTC.
    """

    seq: int
    agent_id: str
    timestamp: str
    data: AnyEventData

    @property
    def type(self) -> str:
        """The type's name in the contract, such as `lock:acquired`."""
        return self.data.type


def type_fits(pattern: str, name: str) -> bool:
    """Return whether an event type matches a subscriber's pattern.

    Args:
        pattern: An event type; or `*` or `>`, which match every type; or `lock:*`, `specs.*` or `specs.>`, which match
            every type that begins with what is before the last character.
        name: The event type.
    """
    return pattern in ("*", ">", name) or (pattern[-2:] in (":*", ".*", ".>") and name.startswith(pattern[:-1]))


def event_to_wire(event: Event) -> Envelope:
    """Return the event as the JSON object of contract 6: {v, seq, type, agent_id, timestamp, data}.

    `data` has no type.
    """
    return {
        "v": SCHEMA_VERSION,
        "seq": event.seq,
        "type": event.type,
        "agent_id": event.agent_id,
        "timestamp": event.timestamp,
        "data": event.data.model_dump(mode="json", by_alias=True, exclude={"type"}),
    }


def event_from_wire(envelope: Mapping[str, Any]) -> Event:
    """Parse the JSON object of contract 6 into an event.

    Data that an older version wrote is brought to the newest form.

    Args:
        envelope: The object as parsed; not changed.

    Raises:
        StoreError: This program does not know its version or type, or a field is missing, unknown or invalid.
    """
    try:
        if envelope["v"] != SCHEMA_VERSION:
            raise StoreError(f"event version {envelope['v']} is not known here", "upgrade aegis-tui")
        kind = envelope["type"]
        data = _DATA[kind].model_validate(lift_event(kind, envelope["data"]))
        return Event(envelope["seq"], envelope["agent_id"], envelope["timestamp"], data)
    except (KeyError, TypeError, AttributeError, ValidationError) as error:
        raise StoreError(f"event {envelope.get('seq')} cannot be read: {error}") from error
