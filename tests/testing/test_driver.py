import threading
from typing import Any

import pytest

from aegis_tui.domain.wire.answer import Envelope
from aegis_tui.errors import HubUnavailable, ModelUnavailable
from aegis_tui.testing.driver import DriverThread, GateDriver, GateOpener, follow_events
from aegis_tui.testing.scenario import GateRule

RULES = {"queued": GateRule(type="lock:queued", match={"path": "routes.py"})}


def event(seq: int, type_: str = "lock:queued", **data: Any) -> Envelope:
    return {"v": 1, "seq": seq, "type": type_, "agent_id": "hub", "timestamp": "", "data": data}


class Log:
    """A hub whose log is a list, and which is away for its first calls."""

    def __init__(self, *events: Envelope, away: int = 0) -> None:
        self.logged, self.away = list(events), away

    def envelopes(self, after: int = 0, limit: int = 2) -> list[Envelope]:
        if self.away:
            self.away -= 1
            raise HubUnavailable("away")
        return [item for item in self.logged if item["seq"] > after][:2]


def test_a_gate_opens_once_at_the_event_that_its_rule_names() -> None:
    opened: list[str] = []
    driver = GateDriver(RULES, opened.append)
    assert driver.take(event(1, path="other.py")) == []
    assert driver.take(event(2, "lock:acquired", path="routes.py")) == []
    assert driver.waiting == ["queued"]
    assert driver.take(event(3, resources=[{"path": "routes.py"}])) == ["queued"]
    assert driver.take(event(4, path="routes.py")) == []
    assert (opened, driver.waiting) == (["queued"], [])


def test_events_are_followed_over_a_hub_that_goes_away() -> None:
    log = Log(*(event(seq) for seq in range(1, 6)), away=2)
    seen = []
    for item in follow_events(lambda: log, deadline_s=10):
        seen.append(item["seq"])
        if item["seq"] == 3:
            log.away = 1
        if item["seq"] == 5:
            break
    assert seen == [1, 2, 3, 4, 5]


def test_following_ends_at_its_deadline() -> None:
    assert list(follow_events(lambda: None, deadline_s=0.05)) == []


def test_the_driver_in_the_background_keeps_the_report_and_ends() -> None:
    opened = threading.Event()
    log = Log(event(1, path="routes.py"), event(2, "run:finished", report={"ok": True}))
    with DriverThread(GateDriver(RULES, lambda name: opened.set()), lambda: log) as thread:
        assert opened.wait(5)
        assert thread.finished.wait(5)
    assert thread.report is not None and thread.report["ok"]
    assert "gate-driver" not in [item.name for item in threading.enumerate()]


def test_a_server_that_is_gone_cannot_open_a_gate() -> None:
    with pytest.raises(ModelUnavailable):
        GateOpener("http://127.0.0.1:9/scripted/gates/", "token")("queued")
