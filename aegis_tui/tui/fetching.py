"""Fetches the hub's state as plain JSON, so that the domain code can be imported at the same time (PERF-5)."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

from aegis_tui.domain.wire.answer import Envelope
from aegis_tui.errors import AegisError, StoreError
from aegis_tui.sdk.discovery import WorkspacePaths, find_hub
from aegis_tui.sdk.quick import HubAddress, HubQuick
from aegis_tui.sdk.version import RESTART

KEPT_EVENTS = 1_000
"""How many of the newest events are fetched with the state, for the events panel."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """The state of a hub as JSON values, after event number `state["seq"]`: the events after that one follow on it."""

    address: HubAddress
    state: dict[str, Any]
    events: list[Envelope]
    """The newest events, oldest first; some may be newer than the state."""


def fetch_state(paths: WorkspacePaths) -> Fetched | None:
    """Fetch the state and up to 1,000 of the newest events from the hub of a workspace. Blocks.

    None if no hub is running, or it does not answer from the beginning.

    Raises:
        HubUnavailable: The hub stops answering meanwhile.
        AegisError: It refuses the request.
        StoreError: Its reply has a form that this version does not know.
    """
    address = find_hub(paths)
    if address is None:
        return None
    hub = HubQuick(address)
    try:
        state = hub.mirror()
        return Fetched(address, state, hub.envelopes(after=max(0, state["seq"] - KEPT_EVENTS), limit=KEPT_EVENTS))
    except (KeyError, TypeError, ValueError) as error:
        raise unknown_form() from error


def unknown_form() -> StoreError:
    """Return the error to raise if this version cannot read the hub's state; its hint is to restart the hub."""
    return StoreError("the running hub has a different version than this program", f"restart it: {RESTART}")


class FirstFetch:
    """Fetches the hub's state in a thread, which the constructor starts; `take` returns the result once."""

    def __init__(self, paths: WorkspacePaths) -> None:
        self._fetched: Fetched | None = None
        self._thread: threading.Thread | None = threading.Thread(
            target=self._fetch, args=(paths,), name="first-fetch", daemon=True
        )
        self._thread.start()

    def _fetch(self, paths: WorkspacePaths) -> None:
        try:
            self._fetched = fetch_state(paths)
        except AegisError:
            self._fetched = None  # the state is fetched again later, and then the error is shown

    def take(self) -> Fetched | None:
        """Wait for the thread, and return the state; blocking.

        None if no hub answers or its state cannot be read, and on every later call.
        """
        thread, self._thread = self._thread, None
        if thread is None:
            return None
        thread.join()
        return self._fetched
