from __future__ import annotations

from aegis_tui.domain.event import AnyEventData, Event
from aegis_tui.domain.lock.events import LockAcquired, LockDeadlock, LockDenied, LockQueued, LockWithdrawn
from aegis_tui.domain.lock.model import LockMode, Resource
from aegis_tui.domain.run.events import RunFacts, RunFinished, RunOptions, RunStarted, Stage, StageChanged
from aegis_tui.domain.run.report import fold_report, seconds_between

FACTS = RunFacts(workspace="k", base_oid="0" * 40, base_branch=None)


class Log:
    def __init__(self) -> None:
        self.events: list[Event] = []
        self.second = 0

    def add(self, data: AnyEventData, *, agent: str = "hub", after_s: int = 1) -> None:
        self.second += after_s
        at = f"2026-01-01T00:{self.second // 60:02d}:{self.second % 60:02d}.000Z"
        self.events.append(Event(len(self.events) + 1, agent, at, data))


def started(log: Log, run: str = "run1") -> None:
    log.add(RunStarted(run=run, goal="g", options=RunOptions(), facts=FACTS))
    log.add(StageChanged(run=run, stage=Stage.DESIGN, round=0), after_s=0)


def acquired(token: int, request: str, *, waited: bool = False) -> LockAcquired:
    return LockAcquired(
        lock_id=f"L{token}",
        path="a",
        region=None,
        lock_type=LockMode.EXCLUSIVE,
        token=token,
        ttl_s=300,
        request_id=request,
        waited=waited,
    )


def queued(request: str) -> LockQueued:
    return LockQueued(
        request_id=request,
        resources=(Resource(path="a"),),
        ranks=(),
        lock_type=LockMode.EXCLUSIVE,
        ttl_s=300,
        wait_s=5,
        position=1,
        holder="x",
    )


def test_each_request_for_a_lock_is_counted_once_by_how_it_ended() -> None:
    log = Log()
    started(log)
    log.add(acquired(3, "one"), agent="A")
    log.add(queued("two"), agent="B")
    log.add(acquired(5, "two", waited=True), agent="B")
    log.add(queued("three"), agent="C")
    log.add(LockWithdrawn(request_id="three", code="TIMEOUT"), agent="C")
    log.add(LockDenied(path="a", lock_type=LockMode.EXCLUSIVE, code="HELD", held_by="B"), agent="D")
    log.add(LockDeadlock(request_id="five", cycle=("E", "B", "E")), agent="E")
    assert fold_report(log.events, "run1")["locks"] == {
        "requested": 5,
        "granted": 2,
        "waited": 2,
        "failed": 3,
        "expired": 0,
        "deadlocks": 1,
    }


def test_stages_say_how_often_and_how_long() -> None:
    log = Log()
    started(log)
    log.add(StageChanged(run="run1", stage=Stage.MONITORING, round=0), after_s=10)
    log.add(StageChanged(run="run1", stage=Stage.FINAL_QA, round=0), after_s=5)
    log.add(StageChanged(run="run1", stage=Stage.MONITORING, round=1), after_s=3)
    log.add(StageChanged(run="run1", stage=Stage.FINAL_QA, round=1), after_s=4)
    stages = {item["name"]: item for item in fold_report(log.events, "run1")["stages"]}
    assert (stages["MONITORING"]["rounds"], stages["MONITORING"]["duration_s"]) == (2, 9.0)
    assert (stages["DESIGN"]["rounds"], stages["DESIGN"]["duration_s"]) == (1, 10.0)
    assert stages["INTEGRATE"]["state"] == "pending" and stages["FINAL-QA"]["state"] == "active"


def test_what_comes_after_the_end_and_the_report_inside_the_log_change_nothing() -> None:
    log = Log()
    started(log)
    log.add(StageChanged(run="run1", stage=Stage.MONITORING, round=0), after_s=10)
    before = fold_report(log.events, "run1")
    log.add(RunFinished(run="run1", ok=False, report={"anything": 1}), after_s=60)
    started(log, "run2")
    log.add(acquired(9, "later"), agent="A")
    after = fold_report(log.events, "run1")
    assert after["duration_s"] == before["duration_s"] == 10.0
    assert after["locks"] == before["locks"]


def test_locks_of_an_earlier_time_are_not_the_runs() -> None:
    log = Log()
    log.add(acquired(1, "before"), agent="A")
    started(log)
    assert fold_report(log.events, "run1")["locks"]["requested"] == 0


def test_durations_are_read_from_rfc_3339() -> None:
    assert seconds_between("2026-01-01T00:00:00Z", "2026-01-01T00:01:00.250Z") == 60.25
