"""Making shadow tags for the code map of a workspace, in the background (MAP-4)."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, Protocol

from aegis_tui.ports.code_map import WorkspaceFolders


class TagWish(NamedTuple):
    """What a person's settings allow."""

    model: str
    requests_per_hour: int
    tokens_per_day: int


class TagReport(NamedTuple):
    """What one round did."""

    made: int
    """Definitions that the model was asked about."""
    is_done: bool
    """Whether nothing is left without a tag."""
    problem: str
    """Why it stopped early; empty if it did not, or if only a limit was reached."""


class TagRounds(Protocol):
    """Makes tags in rounds of a few requests, without blocking the event loop of the hub."""

    async def make(self, wish: TagWish, root: Path, paths: WorkspaceFolders) -> TagReport:
        """Ask the model about some definitions without documentation, and store what it says.

        What has been stored stays if this is cancelled.

        Args:
            wish: The model, and how much of it may be used.
            root: The person's checkout.
            paths: The folders of the workspace: of its map, and of the gateway through which the model is asked.

        Raises:
            StoreError: The map cannot be read or written, or the round does not end in ten minutes.
        """
        ...
