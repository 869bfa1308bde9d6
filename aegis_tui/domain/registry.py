"""Helpers that combine the tables of commands and events of each module into one.

A command is registered once, beside its rule: `RULES` of that module. An event is registered once, in the union of its
package; `workspace.ROUTES` says which table applies each union. tests/domain/test_totality.py compares the combined
tables with `AnyCommand` and `AnyEventData`, and every other table of commands or events with these.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeVar, get_args

from aegis_tui.domain.decision import Actor, Decision
from aegis_tui.domain.model import CommandData

Rule = Callable[[Any, Any, Actor, str], Decision]
"""Decides a command: takes the workspace, the command, its sender and the request id; raises `AegisError` to refuse."""

Rules = Mapping[type[CommandData], Rule]

K = TypeVar("K")
V = TypeVar("V")


def collected(*parts: Mapping[K, V]) -> Mapping[K, V]:
    """Combine all parts into one read-only table.

    Raises:
        ValueError: A key is in more than one part.
    """
    combined: dict[K, V] = {}
    for part in parts:
        if twice := [str(getattr(key, "__name__", key)) for key in part if key in combined]:
            raise ValueError(f"registered twice: {', '.join(twice)}")
        combined.update(part)
    return MappingProxyType(combined)


def each_of(union: object, value: V) -> dict[Any, V]:
    """Return a new table, member -> `value`, for every member of a union of classes; empty for what is no union."""
    return dict.fromkeys(get_args(union), value)
