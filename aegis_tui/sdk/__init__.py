"""The client of the hub, for adapters, agents and outside programs: see `client.EnsembleClient`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aegis_tui.sdk.client import EnsembleClient

__all__ = ["EnsembleClient"]


def __getattr__(name: str) -> object:
    """Return `EnsembleClient`, imported on first use, so that commands that send one request do not pay for its import.

    Raises:
        AttributeError: Another name is wanted.
    """
    if name == "EnsembleClient":
        from aegis_tui.sdk.client import EnsembleClient

        return EnsembleClient
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
