"""Whether the hub that runs and this program are of one version, and what to do where they are not (contract 1)."""

from __future__ import annotations

import re

from aegis_tui import __version__

RESTART = "aegis-tui hub restart"
"""Ends a hub between two steps of its work and starts that of this program."""


def version_note(hub: str | None, pid: int, *, mine: str = __version__) -> str:
    """What to tell a person about the hub's version; empty where both are of one.

    Args:
        hub: The version that the hub tells of itself; None for one from before hubs told it.
        pid: The hub's process.
        mine: The version of this program.
    """
    if hub == mine:
        return ""
    theirs = "an earlier version" if hub is None else f"version {hub}"
    words = f"hub {pid} is of {theirs}, this program of {mine}"
    if hub is not None and _numbers(hub) > _numbers(mine):
        return f"{words}: update this one"
    return f"{words}: restart the hub between two steps of its work with: {RESTART}"


def _numbers(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version)]
