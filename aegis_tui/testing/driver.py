"""Opens the gates of a demo scenario when the hub has logged the event that each gate waits for (contract 8).

It is an ordinary client that reads the hub's log; neither the hub nor the agents know about it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

import httpx

from aegis_tui.domain.run.report_model import Report
from aegis_tui.domain.wire.answer import Envelope
from aegis_tui.errors import AegisError, ModelUnavailable
from aegis_tui.testing.scenario import GateRule

PAGE = 500
POLL_S = 0.15


class EventSource(Protocol):
    """Gives access to logged events, for example `HubQuick`."""

    def envelopes(self, after: int = 0, limit: int = PAGE) -> list[Envelope]:
        """Return the events after the sequence number `after`, in order, at most `limit`."""
        ...


class GateDriver:
    """Opens each gate once, at the first event that matches its rule.

    Args:
        rules: Gate name -> the rule for the event that opens it.
        open_gate: Opens a gate by name; called in the thread that calls `take`.
    """

    def __init__(self, rules: Mapping[str, GateRule], open_gate: Callable[[str], None]) -> None:
        self._waiting = dict(rules)
        self._open_gate = open_gate

    @property
    def waiting(self) -> list[str]:
        """The gates that are still closed, by name."""
        return sorted(self._waiting)

    def take(self, event: Envelope) -> list[str]:
        """Open the gates that wait for this event and return their names; empty if none does.

        What `open_gate` raises is raised; a gate that it could not open is tried again at the next event that matches.
        """
        opened = [name for name, rule in self._waiting.items() if rule.opens(event["type"], event["data"])]
        for name in opened:
            self._open_gate(name)
            del self._waiting[name]
        return opened


class GateOpener:
    """Opens gates of a scripted model server over HTTP.

    Args:
        gates_url: The URL that the server announces; it ends in a slash.
        admin_token: The token that the server announces.
    """

    def __init__(self, gates_url: str, admin_token: str) -> None:
        self._url, self._headers = gates_url, {"Authorization": f"Bearer {admin_token}"}

    def __call__(self, name: str) -> None:
        """Open one gate for good; opening it again does nothing.

        Raises:
            ModelUnavailable: The server does not answer, or refuses, as for a gate that no script has.
        """
        try:
            # No certificates are needed on this machine, and loading the known ones takes up to 130 ms.
            answer = httpx.post(self._url + name, headers=self._headers, timeout=10.0, trust_env=False, verify=False)
            answer.raise_for_status()
        except httpx.HTTPError as error:
            raise ModelUnavailable(f"gate {name} cannot be opened: {error}", "start the demo again") from error


def follow_events(
    find_hub: Callable[[], EventSource | None],
    *,
    stop: threading.Event | None = None,
    deadline_s: float | None = None,
) -> Iterator[Envelope]:
    """Yield every logged event from the first on, and new ones as they are logged; block while there are none.

    A hub that is gone or refuses is looked for again, without an error. Without `stop` and deadline it never ends.

    Args:
        find_hub: Returns the hub that runs now, or None.
        stop: Ends the iteration when it is set.
        deadline_s: Ends the iteration after this many seconds.
    """
    after, end = 0, None if deadline_s is None else time.monotonic() + deadline_s
    over, hub = stop or threading.Event(), None
    while not over.is_set() and (end is None or time.monotonic() < end):
        try:
            hub = hub or find_hub()
            page = hub.envelopes(after, PAGE) if hub else []
        except AegisError:
            hub, page = None, []
        for event in page:
            after = int(event["seq"])
            yield event
        if not page:
            over.wait(POLL_S)


class DriverThread:
    """Runs a `GateDriver` in a background thread while the `with` block runs.

    If a gate cannot be opened, the thread ends with that error, and `finished` is never set.

    Args:
        driver: Receives every event.
        find_hub: Returns the hub that runs now, or None; called again while none answers.
    """

    def __init__(self, driver: GateDriver, find_hub: Callable[[], EventSource | None]) -> None:
        self._driver, self._find_hub = driver, find_hub
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="gate-driver", daemon=True)
        self.finished = threading.Event()
        """Set when a run has ended."""
        self.report: Report | None = None
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
