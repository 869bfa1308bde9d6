"""Which events a subscriber wants, and which it may see (HUB-4, HUB-9)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from aegis_tui.domain.decision import Actor
from aegis_tui.domain.effort import Effort
from aegis_tui.domain.event import Event, event_to_wire, type_fits
from aegis_tui.domain.glob.cost import compile_within
from aegis_tui.domain.glob.pattern import Glob
from aegis_tui.domain.inert import inert
from aegis_tui.domain.message.events import Broadcast, MessageSent
from aegis_tui.domain.naming import is_event_pattern
from aegis_tui.domain.wire.answer import Envelope
from aegis_tui.errors import UsageError

MAX_PATTERNS = 100
MAX_NAME = 100
_SECRET_FIELDS = ("token_hash",)


def public_wire(event: Event) -> Envelope:
    """Return an event as a client gets it, without the fields that never leave the hub (hashes of tokens).

    It is a new dict that can be sent as JSON: `v`, `seq`, `type`, `agent_id`, `timestamp` and `data`.
    """
    envelope = event_to_wire(event)
    for name in _SECRET_FIELDS:
        envelope["data"].pop(name, None)
    return envelope


def is_visible(event: Event, actor: Actor) -> bool:
    """Return whether an actor may see an event.

    A message to one instance is visible to its sender, its receiver, the person and the hub; all else to everybody.
    """
    data = event.data
    return not isinstance(data, MessageSent) or actor.kind != "instance" or actor.agent_id in (data.to, event.agent_id)


@dataclass(frozen=True, slots=True)
class Interest:
    """The event types and path globs of a subscription; an event that matches any of them is wanted."""

    types: tuple[str, ...] = ()
    """Event types, or patterns: `*`, `lock:*`, `specs.*`, `specs.>`."""
    globs: tuple[Glob, ...] = ()

    @classmethod
    def everything(cls) -> Interest:
        """Return an interest in all event types."""
        return cls(types=("*",))

    def with_types(self, types: object) -> Interest:
        """Return a new interest with the same globs and other types.

        Args:
            types: What a client sent: a list of event types or patterns; an empty list selects none.

        Raises:
            UsageError: It is not a list of texts, has over `MAX_PATTERNS` of them, or holds an invalid or overlong
                pattern.
        """
        names = _texts("types", types, 'for example ["lock:*", "specs.>"]')
        if "" in names:
            raise UsageError("types: a name is empty", 'for example ["lock:*"]; ["*"] selects all types, [] none')
        if longest := next((name for name in names if len(name) > MAX_NAME), None):
            raise UsageError(f"types: {longest[:20]}... is over {MAX_NAME} characters", "see /asyncapi.json")
        if unusable := next((name for name in names if not is_event_pattern(name)), None):
            raise UsageError(f"types: '{inert(unusable)}' is not an event type", 'for example ["lock:*", "specs.>"]')
        return Interest(names, self.globs)

    def with_globs(self, paths: object) -> Interest:
        """Return a new interest with the same types and these globs added to its own.

        Args:
            paths: What a client sent: a list of globs.

        Raises:
            Refused: A glob is not valid, or takes too many steps to compile.
            UsageError: It is not a list of texts, or there would be over `MAX_PATTERNS` globs.
        """
        effort = Effort()
        wanted = _texts("paths", paths, 'for example ["src/**"]')
        globs = (*self.globs, *(compile_within(text, effort) for text in wanted))
        if len(globs) > MAX_PATTERNS:
            raise UsageError(f"at most {MAX_PATTERNS} globs on one connection", "use a wider glob")
        return Interest(self.types, globs)

    def wants(self, event: Event) -> bool:
        """Return whether the event matches a type or a glob.

        A broadcast also matches under the name of what it announces. A glob is compared with the paths in the event's
        `path`, `file`, `files` and `resources`.
        """
        if any(type_fits(pattern, name) for name in _names(event) for pattern in self.types):
            return True
        return bool(self.globs) and any(glob.matches(path) for path in _paths(event) for glob in self.globs)


def _texts(field: str, value: object, hint: str) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise UsageError(f"{field} must be a list of strings", hint)
    if len(value) > MAX_PATTERNS:
        raise UsageError(f"{field}: at most {MAX_PATTERNS} are allowed, not {len(value)}", hint)
    for item in value:
        if not isinstance(item, str):
            raise UsageError(f"{field}: {json.dumps(item)[:40]} is not a string", hint)
    return tuple(value)


def _names(event: Event) -> Iterator[str]:
    yield event.type
    if isinstance(event.data, Broadcast):
        yield event.data.event


def _paths(event: Event) -> Iterator[str]:
    inner = event.data.data if isinstance(event.data, Broadcast) else event.data.model_dump(include=_PATH_FIELDS)
    for name in _PATH_FIELDS:
        value = inner.get(name)
        if isinstance(value, str):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from (item for item in value if isinstance(item, str))
    for item in inner.get("resources") or ():
        if isinstance(item, dict) and isinstance(item.get("path"), str):
            yield item["path"]


_PATH_FIELDS = {"path", "file", "files", "resources"}
