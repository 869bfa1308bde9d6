"""The boundary that the settings name, in words for a person (SEC-4, AGENT-7)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from aegis_tui.config import Settings
from aegis_tui.domain.boundary import allowed_words, boundary_word
from aegis_tui.domain.count import listed
from aegis_tui.domain.mcp_server import refusals
from aegis_tui.ports.agent_kind import KindFacts


class SettingFound(NamedTuple):
    """What a setting says, and what is wrong with it."""

    words: str
    fix: str = ""
    """What to change; empty if nothing is wrong."""


def describe_boundary(settings: Settings, describe_kinds: Callable[[], Sequence[KindFacts]]) -> SettingFound:
    """Return, in words, what the settings let agents reach besides hub and model.

    `fix` says what to change if they name a kind that does not exist; else it is empty.

    Args:
        settings: The person's settings.
        describe_kinds: Returns the facts about each agent kind; called only if the boundary lists addresses.
    """
    allowed = settings.boundary
    word = boundary_word("none" if settings.sandbox == "off" else "", allowed)
    known = [kind.name for kind in describe_kinds()] if allowed else []
    wrong = [kind for kind in allowed if kind not in known]
    fix = f"there is no agent kind {listed(wrong)}: change the table [boundary] in your settings" if wrong else ""
    return SettingFound("; ".join([word, *allowed_words(allowed)]), fix)


def describe_servers(settings: Settings) -> SettingFound | None:
    """Return the names of the MCP servers of the settings, and why agents of the settings' kind do not get some.

    `fix` is empty. None if the settings have no servers.
    """
    servers, kind = settings.mcp, settings.kind
    if not servers:
        return None
    missing = refusals(servers, kind, settings.boundary.get(kind, ()))
    return SettingFound("; ".join([", ".join(sorted(servers)), *missing]))
