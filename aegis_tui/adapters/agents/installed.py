"""Which kinds of agents there are: the one that ships, and those of other packages by their entry points.

A package adds a kind by an entry point of the group `aegis_tui.agent_kinds`: its name is the kind, its value the class.
Names are read without importing anything; the class is imported when an instance of that kind is started.
"""

from __future__ import annotations

import logging
import re
from importlib.metadata import EntryPoint, entry_points

from aegis_tui.adapters.agents.native import NativeAgent
from aegis_tui.domain.ids import NATIVE
from aegis_tui.errors import UsageError
from aegis_tui.ports.agent_kind import AgentKind

GROUP = "aegis_tui.agent_kinds"
_NAME = re.compile(r"[a-z][a-z0-9]{0,31}\Z")
"""A kind becomes part of agent ids (`CODEX-w01`), whose parts are divided by `-`."""

_log = logging.getLogger(__name__)


def installed_kinds() -> tuple[str, ...]:
    """The names of all kinds, the one that ships first."""
    return (NATIVE, *sorted(_added()))


def find_kind(name: str) -> AgentKind:
    """The kind of that name.

    Raises:
        UsageError: There is none, or its class cannot be imported or made.
    """
    if name == NATIVE:
        return NativeAgent()
    entry = _added().get(name)
    if entry is None:
        raise UsageError(f"there is no agent kind {name}", f"one of {', '.join(installed_kinds())}", is_certain=True)
    try:
        kind: AgentKind = entry.load()()
    except (Exception, SystemExit) as error:  # another package's code: whatever it raises ends this instance alone
        _log.exception("an agent kind cannot be had", extra={"aegis_kind": name})
        words = f"the agent kind {name} cannot be had: {type(error).__name__}: {error}"
        raise UsageError(words, f"look at the package that has {entry.value}", is_certain=True) from error
    return kind


def _added() -> dict[str, EntryPoint]:
    """The kinds of other packages; a name that is no name, or that ships, is left out."""
    found = {entry.name: entry for entry in entry_points(group=GROUP)}
    return {name: entry for name, entry in found.items() if _NAME.match(name) and name != NATIVE}
