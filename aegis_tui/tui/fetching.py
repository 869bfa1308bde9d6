"""The hub's state as it comes over its socket: fetched while the core, which reads it, is imported (PERF-5)."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

from aegis_tui.errors import AegisError, StoreError
from aegis_tui.sdk.discovery import WorkspacePaths, find_hub
from aegis_tui.sdk.quick import HubAddress, HubQuick
from aegis_tui.sdk.version import RESTART

KEPT_EVENTS = 1_000
"""How many events before the state are fetched with it, for the list of what happened."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a hub had at one moment, as JSON values; whoever follows it from its number misses nothing."""

    address: HubAddress
    state: dict[str, Any]
    events: list[dict[str, Any]]
    """The newest ones, oldest first; some may be newer than the state."""


def fetch_state(paths: WorkspacePaths) -> Fetched | None:
    """Ask the hub of a workspace; None where none runs. Blocks.

    Raises:
        HubUnavailable: The hub does not answer.
        StoreError: It answers in a form that this program does not know.
    """
    address = find_hub(paths)
    if address is None:
        return None
    hub = HubQuick(address)
    try:
        state = hub.mirror()
        return Fetched(address, state, hub.events(after=max(0, state["seq"] - KEPT_EVENTS), limit=KEPT_EVENTS))
    except (KeyError, TypeError, ValueError) as error:
        raise unknown_form() from error


def unknown_form() -> StoreError:
    """What is said of a hub whose state cannot be read."""
    return StoreError("the hub that runs is of another version than this program", f"restart it: {RESTART}")


class FirstFetch:
    """A state that a thread fetches from now on; `take` gives it once."""

    def __init__(self, paths: WorkspacePaths) -> None:
        self._found: Fetched | None = None
        self._thread: threading.Thread | None = threading.Thread(
            target=self._fetch, args=(paths,), name="first-fetch", daemon=True
        )
        self._thread.start()

    def _fetch(self, paths: WorkspacePaths) -> None:
        try:
            self._found = fetch_state(paths)
        except AegisError:
            self._found = None  # it is asked again, and then the error is told

    def take(self) -> Fetched | None:
        """Wait for it; None where there was none, and from the second call on."""
        thread, self._thread = self._thread, None
        if thread is None:
            return None
        thread.join()
        return self._found
