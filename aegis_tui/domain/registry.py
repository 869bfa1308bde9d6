"""How what is registered noun by noun becomes one table.

A command is registered once, beside its rule: `RULES` of that module. An event is registered once, in the union of its
noun; `workspace.ROUTES` says which table folds each union. tests/domain/test_totality.py compares what is collected
with `AnyCommand` and `AnyEventData`, and every other table of commands or events with these.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeVar, get_args

from aegis_tui.domain.decision import Actor, Decision
from aegis_tui.domain.model import CommandData

Rule = Callable[[Any, Any, Actor, str], Decision]
"""Takes the workspace, a command, who sends it, and the id of the request."""

Rules = Mapping[type[CommandData], Rule]

K = TypeVar("K")
V = TypeVar("V")


def collected(*parts: Mapping[K, V]) -> Mapping[K, V]:
    """One table of all parts.

    Raises:
        ValueError: Something is registered twice.
    """
    found: dict[K, V] = {}
    for part in parts:
        if twice := [str(getattr(key, "__name__", key)) for key in part if key in found]:
            raise ValueError(f"registered twice: {', '.join(twice)}")
        found.update(part)
    return MappingProxyType(found)


def each_of(union: object, value: V) -> dict[Any, V]:
    """The same value for every member of a union."""
    return dict.fromkeys(get_args(union), value)
