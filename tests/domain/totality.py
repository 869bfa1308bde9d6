"""What has no place in a table that must have one for every command, event or effect; each check names what is missing.

Read by `test_totality.py`, and by its experiments in a copy of the package, without pytest.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Iterator
from typing import Any, get_args

from aegis_tui import domain
from aegis_tui.domain.command import AnyCommand, HubCommand
from aegis_tui.domain.core import RULES
from aegis_tui.domain.effect import STEP_WORDS, Effect
from aegis_tui.domain.event import AnyEventData
from aegis_tui.domain.lock.events import LockEvent
from aegis_tui.domain.lock.table import LockTable
from aegis_tui.domain.model import CommandData, EventData, by_type
from aegis_tui.domain.rights import HUB_ALONE, RIGHTS
from aegis_tui.domain.run import events as run_event
from aegis_tui.domain.run.table import FOLDS
from aegis_tui.domain.words import WORDS
from aegis_tui.domain.workspace import ROUTES


def gaps() -> list[str]:
    """Every gap of every table, as `table: name`."""
    return [f"{table}: {name}" for table, find in CHECKS.items() for name in find()]


def _members(union: object) -> set[Any]:
    return set(get_args(union))


def _differing(table: Iterable[Any], union: object) -> list[str]:
    """Names that only one of the two has."""
    return sorted(map(_name, _members(union) ^ set(table)))


def _name(item: Any) -> str:
    return str(getattr(item, "__name__", item))


def _defined(base: type) -> list[type]:
    """The classes of the domain that are a `base`, by whatever module defines them."""
    for module in pkgutil.walk_packages(domain.__path__, "aegis_tui.domain."):
        importlib.import_module(module.name)
    return [item for item in _below(base) if item.__module__.startswith("aegis_tui.domain.")]


def _below(base: Any) -> Iterator[type]:
    for item in base.__subclasses__():
        yield item
        yield from _below(item)


def _unheld() -> list[str]:
    rows = {row.partition(" ")[0] for row in RIGHTS}
    return sorted(rows ^ set(by_type(AnyCommand)))


def _held_otherwise() -> list[str]:
    """Commands of the hub that somebody else may send, and commands of clients that nobody may."""
    alone = {row for row, holders in RIGHTS.items() if holders == HUB_ALONE}
    return sorted(alone ^ set(by_type(HubCommand)))


CHECKS: dict[str, Callable[[], list[str]]] = {
    "commands that are defined and in no union": lambda: _differing(_defined(CommandData), AnyCommand),
    "events that are defined and in no union": lambda: _differing(_defined(EventData), AnyEventData),
    "rules of commands": lambda: _differing(RULES, AnyCommand),
    "rights to commands": _unheld,
    "commands of the hub alone": _held_otherwise,
    "routes of events to what they change": lambda: _differing(ROUTES, AnyEventData),
    "folds of events of a run": lambda: _differing([run_event.RunStarted, *FOLDS], run_event.RunEvent),
    "folds of events of a lock": lambda: _differing(LockTable().folded, LockEvent),
    "words of events": lambda: _differing(WORDS, AnyEventData),
    "words of effects": lambda: _differing(STEP_WORDS, Effect),
}
