"""Which state of an instance is believed, from which source, and why; `unknown` if the sources are silent (PANE-5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal, NamedTuple

from aegis_tui.domain.instance.model import Instance, Phase, StateSource

SOURCES: Final[Mapping[StateSource, str]] = {
    "hub": "reported by the agent itself, over its own connection to the hub",
    "acp": "reported over the Agent Client Protocol",
    "hook": "reported by a hook of the agent's program",
    "json": "read from the events that its program prints",
    "worktree": "inferred from the files that changed in its worktree",
    "title": "read from the title of its terminal",
    "screen": "recognized on its screen by a rule",
    "process": "inferred from its process",
}
"""Source of a state -> what it is."""

UNKNOWN: Final = "unknown"
_WAITS: Final = frozenset({"asking", "blocked", "limited", "done", "failed"})
"""Reported states that a screen cannot change: nothing that a program shows is newer than them."""


class SourceReading(NamedTuple):
    """What one source says about an instance now."""

    source: StateSource
    state: Literal["asking", "running", "idle", "ended"] | None
    """What it says; None if it is silent. The hub and a process that lives say `running`."""
    words: str
    """What was seen, or why there is nothing."""


def of_hub(*, answers: bool) -> SourceReading:
    """Return what the hub says about every instance: that it knows it, or, if it does not answer, nothing."""
    return (
        SourceReading("hub", "running", "the hub answers")
        if answers
        else SourceReading("hub", None, "no hub is running")
    )


class Belief(NamedTuple):
    """What `believe` concludes about the state of an instance, and from what."""

    state: str
    """A word as in `Instance.word`, what a screen shows (`running`), or `UNKNOWN`."""
    source: StateSource
    """The source that decided; for `UNKNOWN` the one that is silent or contradicts the log."""
    because: str
    """What was seen, as the source gives it; empty if the agent just says so. It may hold hidden characters."""
    since: str | None
    """RFC 3339, UTC; None if it was recognized only now, or is not known."""


def believe(item: Instance, readings: Sequence[SourceReading] = ()) -> Belief:
    """Return the state of an instance that is believed, by what was logged and what its sources say now.

    A report of the agent counts unless the hub is silent; a screen that asks the person for a permission counts as
    well, as the agent that waits for its program cannot know. If the hub is silent, the screen decides. It is `unknown`
    if nothing says it, or if the process has ended while the instance counts as alive.

    Args:
        item: The instance, as the log has it.
        readings: What its sources say now; those that were not asked are missing.
    """
    said = {reading.source: reading for reading in readings}
    if not item.is_alive:
        source: StateSource = "hub" if item.lost or item.phase is Phase.STOPPING else "process"
        return Belief(item.word, source, (item.note if item.lost else item.stop_reason) or "", item.state_at)
    hub, process = said.get("hub"), said.get("process")
    if process is not None and process.state == "ended":
        return Belief(UNKNOWN, "process", f"{process.words}, and the hub has not recorded that", None)
    shown = next((said[name] for name in ("title", "screen") if name in said and said[name].state), None)
    if shown is not None and shown.state == "asking" and item.word not in _WAITS:
        return Belief("asking", shown.source, shown.words, None)
    if hub is not None and hub.state is None:
        if shown is not None:
            return Belief(str(shown.state), shown.source, shown.words, None)
        return Belief(UNKNOWN, "hub", f"{hub.words}; the last state that it recorded is {item.word}", None)
    if item.asks is not None and item.word == "asking" and item.state != "asking":
        return Belief("asking", item.asks.source, item.asks.screen.words, item.state_at)
    known_by: StateSource = next((name for name in SOURCES if name == item.source), "hub")
    return Belief(item.word, known_by, item.evidence or item.note or "", item.state_at)
