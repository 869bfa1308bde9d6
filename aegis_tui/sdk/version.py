"""Whether the running hub and this program have the same version, and what to do if not (contract 1)."""

from __future__ import annotations

import re

from aegis_tui import __version__

RESTART = "aegis-tui hub restart"
"""The command that stops the hub between two steps of its work and starts this program's version."""


def version_note(hub: str | None, pid: int, *, mine: str = __version__) -> str:
    """Return a sentence for the person if the versions of hub and program differ; empty if they are the same.

    It says whether to update the program, if the hub is newer, or to restart the hub.

    Args:
        hub: The version that the hub reports; None for hubs from before this field existed.
        pid: The process id of the hub.
        mine: The version of this program.
    """
    if hub == mine:
        return ""
    theirs = "an earlier version" if hub is None else f"version {hub}"
    words = f"hub {pid} has {theirs}, this program has version {mine}"
    if hub is not None and _numbers(hub) > _numbers(mine):
        return f"{words}: update this program"
    return f"{words}: replace the hub, which finishes its current step first: {RESTART}"


def _numbers(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version)]
