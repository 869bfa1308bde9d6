"""Opens the gates of a scenario when the hub tells the real event that each waits for (contract 8).

An ordinary hub client: it reads the log like anybody, and nothing in the hub or the agents knows of it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

import httpx

from aegis_tui.errors import AegisError, ModelUnavailable
from aegis_tui.testing.scenario import GateRule

Event = dict[str, Any]
PAGE = 500
POLL_S = 0.15


class EventSource(Protocol):
    """Where logged events are read; `HubQuick` is one."""

    def events(self, after: int = 0, limit: int = PAGE) -> list[Event]:
        """Events after a seq, in order."""
        ...


class GateDriver:
    """Opens each gate once, at the first event that its rule names.

    Args:
        rules: Gate name to the event that opens it.
        open_gate: Opens a gate by name; called in the thread that calls `take`.
    """

    def __init__(self, rules: Mapping[str, GateRule], open_gate: Callable[[str], None]) -> None:
        self._waiting = dict(rules)
        self._open_gate = open_gate

    @property
    def waiting(self) -> list[str]:
        """The gates that are still closed, by name."""
        return sorted(self._waiting)

    def take(self, event: Event) -> list[str]:
        """Look at one event; returns the gates that it opened."""
        opened = [name for name, rule in self._waiting.items() if rule.opens(event["type"], event["data"])]
        for name in opened:
            self._open_gate(name)
            del self._waiting[name]
        return opened


class GateOpener:
    """Opens gates of a scripted server over HTTP.

    Args:
        gates_url: As the server announces it, ending in a slash.
        admin_token: As the server announces it.
    """

    def __init__(self, gates_url: str, admin_token: str) -> None:
        self._url, self._headers = gates_url, {"Authorization": f"Bearer {admin_token}"}

    def __call__(self, name: str) -> None:
        """Open one gate.

        Raises:
            ModelUnavailable: The scripted server is gone.
        """
        try:
            # Without certificates, which no server on this machine has: reading the known ones takes up to 130 ms.
            answer = httpx.post(self._url + name, headers=self._headers, timeout=10.0, trust_env=False, verify=False)
            answer.raise_for_status()
        except httpx.HTTPError as error:
            raise ModelUnavailable(f"gate {name} cannot be opened: {error}", "start the demo again") from error


def follow_events(
    find_hub: Callable[[], EventSource | None],
    *,
    stop: threading.Event | None = None,
    deadline_s: float | None = None,
) -> Iterator[Event]:
    """Every logged event from the first on, as it comes; a hub that is away for a while is waited for.

    Args:
        find_hub: The hub that runs now, or None.
        stop: Ends the iteration when it is set.
        deadline_s: Ends the iteration after so many seconds.
    """
    after, end = 0, None if deadline_s is None else time.monotonic() + deadline_s
    over, hub = stop or threading.Event(), None
    while not over.is_set() and (end is None or time.monotonic() < end):
        try:
            hub = hub or find_hub()
            page = hub.events(after, PAGE) if hub else []
        except AegisError:
            hub, page = None, []
        for event in page:
            after = int(event["seq"])
            yield event
        if not page:
            over.wait(POLL_S)


class DriverThread:
    """A `GateDriver` in the background, for as long as a screen is open.

    Args:
        driver: What is driven.
        find_hub: As for `follow_events`.
    """

    def __init__(self, driver: GateDriver, find_hub: Callable[[], EventSource | None]) -> None:
        self._driver, self._find_hub = driver, find_hub
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="gate-driver", daemon=True)
        self.finished = threading.Event()
        """Set when a run has ended."""
        self.report: dict[str, Any] | None = None
        """The report of the newest run that has ended."""

    def __enter__(self) -> DriverThread:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        for event in follow_events(self._find_hub, stop=self._stop):
            self._driver.take(event)
            if event["type"] == "run:finished":
                self.report = event["data"]["report"]
                self.finished.set()
