"""A reviewer holds REVIEW locks on the blobs that it reads; a change makes its verdict stale for that blob (LOCK-2)."""

from __future__ import annotations

from typing import Any

import pytest

from aegis_tui.domain.core import THE_HUB, THE_PERSON, Actor
from aegis_tui.domain.instance.commands import AgentLeave, AgentReport
from aegis_tui.domain.lock.commands import LockAcquire, LockExpire
from aegis_tui.domain.lock.events import LockDenied, LockReleased
from aegis_tui.domain.lock.model import GrantedLock, LockMode
from aegis_tui.domain.message.commands import FileObserved
from aegis_tui.domain.piece.commands import PieceMarkChecked
from aegis_tui.domain.review.commands import ReviewPart, ReviewRequest, ReviewVerdict
from aegis_tui.domain.review.events import FixSuggested, ReviewCompleted, ReviewStale
from aegis_tui.domain.review.finding import Finding
from aegis_tui.domain.review.pinned import MOST_PINNED
from aegis_tui.domain.run.report import fold_report
from tests.domain.test_core import DESIGN, Hub

FILES = ("src/a/x.py", "src/a/y.py")
BLOBS = {path: f"blob-{path[-4]}" for path in FILES}


class Bench:
    """A run in which a worker builds alpha, and its unfinished work is to be reviewed."""

    def __init__(self, blobs: dict[str, str] = BLOBS) -> None:
        self.hub = Hub()
        self.hub.start(DESIGN)
        self.worker = str(self.hub.run.pieces["alpha"].agent_id)
        self.hub.bring_up(self.worker)
        part = ReviewPart(head_oid="p1", files=tuple(blobs), blobs=blobs)
        self.hub.send(ReviewRequest(piece="alpha", part=part), THE_PERSON)
        (self.reviewer,) = self.hub.living("reviewer")
        self.hub.bring_up(self.reviewer)

    def read(self) -> None:
        self.hub.send(AgentReport(state="reviewing"), Actor(self.reviewer, "instance"))

    def save(self, path: str = FILES[0], oid: str | None = "other", agent_id: str = "") -> None:
        who = agent_id or self.worker
        seen = FileObserved(agent_id=who, path=path, change_type="modified", worktree="/w", oid=oid)
        self.hub.send(seen, THE_HUB)

    def judge(self, decision: Any = "approve", *findings: Finding) -> ReviewCompleted:
        review = self.hub.workspace.instances.by_id[self.reviewer].review_id or ""
        command = ReviewVerdict(review_id=review, decision=decision, findings=findings)
        self.hub.send(command, Actor(self.reviewer, "instance"))
        return next(event.data for event in reversed(self.hub.log) if isinstance(event.data, ReviewCompleted))

    def locks(self) -> list[GrantedLock]:
        return self.hub.workspace.locks.locks_of(self.reviewer)

    def stale(self) -> list[tuple[str, str, str | None]]:
        data = [event.data for event in self.hub.log if isinstance(event.data, ReviewStale)]
        return [(item.path, item.blob, item.oid) for item in data]

    def notes(self, agent_id: str) -> list[str]:
        """What an instance was sent after its brief."""
        return [message.text for message in self.hub.workspace.messages.for_agent(agent_id)][1:]


def test_a_reviewer_holds_the_blobs_from_its_first_reading_to_its_verdict() -> None:
    bench = Bench()
    assert bench.locks() == []
    bench.read()
    held = [(lock.resource.path, lock.mode, lock.review_blob) for lock in bench.locks()]
    assert held == [(path, LockMode.REVIEW, BLOBS[path]) for path in FILES]
    events = {event.seq: event.type for event in bench.hub.log}
    assert {events[lock.token] for lock in bench.locks()} == {"lock:acquired"}
    bench.read()
    assert len(bench.locks()) == len(FILES)
    bench.judge()
    assert bench.locks() == []
    ends = [event.data.reason for event in bench.hub.log if isinstance(event.data, LockReleased)]
    assert ends == ["verdict", "verdict"]


def test_they_keep_nobody_from_writing_and_do_not_count_as_contention() -> None:
    bench = Bench()
    bench.read()
    bench.hub.send(LockAcquire(path=FILES[0]), Actor(bench.worker, "instance"))
    held = {lock.agent_id for lock in bench.hub.workspace.locks.locks_on(FILES[0])}
    assert held == {bench.worker, bench.reviewer}
    assert not [event for event in bench.hub.log if isinstance(event.data, LockDenied)]
    assert fold_report(bench.hub.log, "run1")["locks"]["granted"] == 1


def test_a_review_lock_without_a_blob_still_excludes_writers() -> None:
    bench = Bench()
    bench.hub.send(LockAcquire(path=FILES[0], lock_type="REVIEW"), Actor(bench.reviewer, "instance"))
    with pytest.raises(Exception, match="holds"):
        bench.hub.send(LockAcquire(path=FILES[0]), Actor(bench.worker, "instance"))


def test_a_change_is_recorded_once_and_told_to_both() -> None:
    bench = Bench()
    bench.read()
    bench.save(oid=BLOBS[FILES[0]])
    bench.save("src/a/other.py")
    bench.save(agent_id=bench.reviewer)
    assert bench.stale() == []
    bench.save()
    bench.save(oid="third")
    assert bench.stale() == [(FILES[0], BLOBS[FILES[0]], "other")]
    (to_owner,) = bench.notes(bench.worker)
    assert f"{bench.reviewer} reviews it as it was before your change (blob blob-x" in to_owner
    (to_reviewer,) = bench.notes(bench.reviewer)
    assert to_reviewer.startswith(f"{FILES[0]}: {bench.worker} has changed it since.")


def test_the_verdict_names_the_blobs_that_changed_and_its_findings_say_so() -> None:
    bench = Bench()
    bench.read()
    bench.save(oid=None)
    found = [Finding(file=path, msg=f"slow {path}") for path in FILES]
    done = bench.judge("reject", *found)
    assert done.stale == {FILES[0]: BLOBS[FILES[0]]}
    suggested = [event.data for event in bench.hub.log if isinstance(event.data, FixSuggested)]
    assert {item.file: item.stale for item in suggested} == {FILES[0]: True, FILES[1]: False}
    bench.save(FILES[1])
    assert len(bench.stale()) == 1, "it is decided"


def test_what_changes_before_it_reads_is_told_when_it_begins() -> None:
    bench = Bench()
    bench.save()
    assert bench.stale() and bench.notes(bench.reviewer) == []
    assert "a reviewer will review it as it was" in bench.notes(bench.worker)[0]
    bench.read()
    (note,) = bench.notes(bench.reviewer)
    assert FILES[0] in note and FILES[1] not in note


def test_notes_are_few_however_many_files_change() -> None:
    blobs = {f"src/a/f{number:03}.py": "b" for number in range(MOST_PINNED + 20)}
    bench = Bench(blobs)
    bench.read()
    assert len(bench.locks()) == MOST_PINNED
    for path in blobs:
        bench.save(path)
    assert len(bench.stale()) == MOST_PINNED
    assert len(bench.notes(bench.worker)) == len(bench.notes(bench.reviewer)) == 5


def test_a_lock_is_renewed_while_it_reads_and_ends_with_its_session() -> None:
    bench = Bench()
    bench.read()
    lock = bench.locks()[0]
    expire = LockExpire(lock_id=lock.lock_id, token=lock.token)
    bench.hub.send(expire, THE_HUB)
    assert lock in bench.locks() and bench.hub.log[-1].type == "lock:renewed"
    bench.hub.send(AgentLeave(), Actor(bench.reviewer, "instance"))
    assert bench.locks() == []


def test_a_submission_is_read_under_locks_too() -> None:
    bench = Bench()
    bench.hub.submit(bench.worker, "a1")
    checked = PieceMarkChecked(run="run1", piece="alpha", head_oid="a1", files=FILES, contents=BLOBS)
    bench.hub.send(checked, THE_HUB)
    (reviewer,) = [name for name in bench.hub.living("reviewer") if name != bench.reviewer]
    bench.hub.bring_up(reviewer)
    bench.hub.send(AgentReport(state="reviewing"), Actor(reviewer, "instance"))
    assert [lock.review_blob for lock in bench.hub.workspace.locks.locks_of(reviewer)] == list(BLOBS.values())
    bench.save()
    assert bench.stale() == [(FILES[0], BLOBS[FILES[0]], "other")]
