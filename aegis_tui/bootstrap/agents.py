"""Which kinds of agents can be dispatched here."""

from __future__ import annotations

from aegis_tui.adapters.agents import installed


def installed_kinds() -> tuple[str, ...]:
    """The names of all kinds, the one that ships first."""
    return installed.installed_kinds()
