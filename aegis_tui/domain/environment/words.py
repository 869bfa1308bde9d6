"""Sentences about environments, for people (GIT-1)."""

from __future__ import annotations

from aegis_tui.domain.environment.model import MadeFacts


def environment_words(made: MadeFacts) -> str:
    """Return which command made the environment, now or before, in one phrase without a full stop.

    If it ran now, whether it had the network and how many seconds it took are added. Of a command of several lines only
    the first is shown.
    """
    if made.reused:
        return f"uses the environment that {_quoted(made.command)} made earlier"
    network = "with the network" if made.network else "without a network"
    return f"made the environment with {_quoted(made.command)}, {network}, in {made.duration_s:.0f} s"


def _quoted(command: str) -> str:
    first, _, rest = command.partition("\n")
    return f"`{first} ...`" if rest else f"`{first}`"
