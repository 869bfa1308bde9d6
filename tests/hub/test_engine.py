import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from aegis_tui.adapters.store.sqlite_log import SqliteEventLog
from aegis_tui.domain.core import execute, state_hash
from aegis_tui.domain.decision import THE_HUB, THE_PERSON, Actor
from aegis_tui.domain.event import Event
from aegis_tui.domain.instance.commands import Heartbeat
from aegis_tui.domain.workspace import Workspace
from aegis_tui.errors import AegisError, HubUnavailable, LockHeld, StoreError, UsageError
from aegis_tui.hub.engine import Engine
from aegis_tui.hub.recovery import recover
from aegis_tui.ports.event_log import LoggedReply
from aegis_tui.sdk.clock import SystemClock

W1, W2 = Actor("CLAUDE-one", "instance"), Actor("CLAUDE-two", "instance")


class FullDisk(SqliteEventLog):
    """A log whose disk can be full."""

    is_full = False

    async def append(self, events: Any, replies: Any) -> None:
        if self.is_full:
            raise StoreError("cannot write: database or disk is full", "free space")
        await super().append(events, replies)


def with_engine(
    path: Path, use: Callable[[Engine], Coroutine[Any, Any, None]], *, log: SqliteEventLog | None = None, **options: Any
) -> None:
    """Open an engine with two joined instances, use it, close it."""

    async def main() -> None:
        engine = Engine(log or SqliteEventLog(path), options.pop("clock", SystemClock()), **options)
        await engine.open()
        try:
            for name in ("one", "two"):
                command = {"type": "agent:register", "agent_type": "CLAUDE", "instance_id": name}
                await engine.submit(command, THE_PERSON, f"join-{name}")
            async with asyncio.timeout(15):
                await use(engine)
        finally:
            await engine.close()

    asyncio.run(main())


def acquire(path: str, **more: Any) -> dict[str, Any]:
    return {"type": "lock:acquire", "path": path, **more}


def test_a_retried_success_gets_the_first_answer_and_a_refusal_is_decided_anew(tmp_path: Path) -> None:
    first: dict[str, Any] = {}

    async def use(engine: Engine) -> None:
        first.update(await engine.submit(acquire("a.py"), W1, "r1"))
        assert await engine.submit(acquire("a.py"), W1, "r1") == first
        with pytest.raises(LockHeld) as caught:
            await engine.submit(acquire("a.py"), W2, "r1")
        assert caught.value.data["held_by"] == W1.agent_id
        lock = first["locks"][0]
        await engine.submit({"type": "lock:release", "lock_id": lock["lock_id"], "token": lock["token"]}, W1)
        second = await engine.submit(acquire("a.py"), W2, "r1")
        assert second["locks"][0]["token"] > lock["token"]

    async def after_restart(engine: Engine) -> None:
        assert await engine.submit(acquire("a.py"), W1, "r1") == first

    with_engine(tmp_path / "log.db", use)
    with_engine(tmp_path / "log.db", after_restart)


def test_a_retried_release_succeeds_again(tmp_path: Path) -> None:
    async def use(engine: Engine) -> None:
        lock = (await engine.submit(acquire("a.py"), W1))["locks"][0]
        release = {"type": "lock:release", "lock_id": lock["lock_id"], "token": lock["token"]}
        first = await engine.submit(release, W1, "done")
        assert await engine.submit(release, W1, "done") == first
        with pytest.raises(AegisError):
            await engine.submit(release, W1, "another")

    with_engine(tmp_path / "log.db", use)


def test_two_submissions_of_one_request_in_the_same_batch_are_one(tmp_path: Path) -> None:
    async def use(engine: Engine) -> None:
        replies = await asyncio.gather(*(engine.submit(acquire("a.py"), W1, "same") for _ in range(5)))
        assert all(reply == replies[0] for reply in replies)
        assert await engine.read(lambda workspace: len(workspace.locks.locks())) == 1

    with_engine(tmp_path / "log.db", use)


def test_a_queued_request_is_answered_at_release_also_on_a_retry_and_after_a_restart(tmp_path: Path) -> None:
    held: dict[str, Any] = {}

    async def use(engine: Engine) -> None:
        held.update((await engine.submit(acquire("a.py"), W1))["locks"][0])
        waiting = engine.enqueue(acquire("a.py", wait_s=60), W2, "wait")
        again = engine.enqueue(acquire("a.py", wait_s=60), W2, "wait")
        await engine.read(lambda workspace: None)
        assert not waiting.done() and not again.done()
        await engine.close()
        for answer in (waiting, again):
            with pytest.raises(HubUnavailable):
                await answer

    async def after_restart(engine: Engine) -> None:
        waiting = engine.enqueue(acquire("a.py", wait_s=60), W2, "wait")
        release = {"type": "lock:release", "lock_id": held["lock_id"], "token": held["token"]}
        await engine.submit(release, W1)
        granted = await waiting
        assert granted["locks"][0]["token"] > held["token"]
        lock = granted["locks"][0]
        await engine.submit({"type": "lock:release", "lock_id": lock["lock_id"], "token": lock["token"]}, W2)
        assert await engine.submit(acquire("a.py", wait_s=60), W2, "wait") == granted

    with_engine(tmp_path / "log.db", use)
    with_engine(tmp_path / "log.db", after_restart)


def test_a_wait_that_times_out_is_refused_in_time(tmp_path: Path) -> None:
    async def use(engine: Engine) -> None:
        await engine.submit(acquire("a.py"), W1)
        started = asyncio.get_running_loop().time()
        with pytest.raises(LockHeld) as caught:
            await engine.submit(acquire("a.py", wait_s=0.2), W2)
        assert caught.value.code == "TIMEOUT"
        assert asyncio.get_running_loop().time() - started < 1.0

    with_engine(tmp_path / "log.db", use)


def test_a_full_disk_refuses_the_batch_and_the_hub_goes_on_from_what_is_logged(tmp_path: Path) -> None:
    log = FullDisk(tmp_path / "log.db")

    async def use(engine: Engine) -> None:
        await engine.submit(acquire("kept.py"), W1)
        before = await engine.read(state_hash)
        told: list[Event] = []
        engine.add_listener(told.extend)
        log.is_full = True
        tries = [engine.submit(acquire(f"{number}.py"), W1, f"r{number}") for number in range(5)]
        tries.append(engine.submit(acquire("kept.py"), W2, "refused"))
        results = await asyncio.gather(*tries, return_exceptions=True)
        assert all(isinstance(result, StoreError) for result in results), results
        assert told == []
        assert await engine.read(state_hash) == before
        log.is_full = False
        reply = await engine.submit(acquire("0.py"), W1, "r0")
        assert reply["locks"][0]["token"] == engine.last_seq

    with_engine(tmp_path / "log.db", use, log=log)


def test_nobody_reads_a_state_that_is_not_on_disk(tmp_path: Path) -> None:
    entered, may_write = asyncio.Event(), asyncio.Event()

    class Held(SqliteEventLog):
        async def append(self, events: Any, replies: Any) -> None:
            if replies and replies[0].key[1] == "slow":
                entered.set()
                await may_write.wait()
            await super().append(events, replies)

    async def use(engine: Engine) -> None:
        answer = engine.enqueue(acquire("a.py"), W1, "slow")
        await entered.wait()
        reading = asyncio.ensure_future(engine.read(lambda workspace: len(workspace.locks.locks())))
        await asyncio.sleep(0.05)
        assert not reading.done() and not answer.done()
        may_write.set()
        assert await reading == 1
        assert answer.done()

    with_engine(tmp_path / "log.db", use, log=Held(tmp_path / "log.db"))


def test_a_failing_rule_harms_only_its_own_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(workspace: Workspace, command: Any, **more: Any) -> Any:
        outcome = execute(workspace, command, **more)
        if getattr(command, "path", "") == "bad.py":
            raise ZeroDivisionError
        return outcome

    monkeypatch.setattr("aegis_tui.hub.engine.execute", failing)

    async def use(engine: Engine) -> None:
        names = ["a.py", "bad.py", "b.py"]
        results = await asyncio.gather(*(engine.submit(acquire(name), W1) for name in names), return_exceptions=True)
        assert [type(result).__name__ for result in results] == ["dict", "AegisError", "dict"]
        paths = await engine.read(lambda workspace: {lock.resource.path for lock in workspace.locks.locks()})
        assert paths == {"a.py", "b.py"}

    with_engine(tmp_path / "log.db", use)


def test_snapshot_and_replay_give_the_same_state(tmp_path: Path) -> None:
    seen: dict[str, str] = {}

    async def use(engine: Engine) -> None:
        for number in range(60):
            reply = await engine.submit(acquire(f"{number}.py"), W1)
            if number % 3 == 0:
                lock = reply["locks"][0]
                await engine.submit({"type": "lock:release", "lock_id": lock["lock_id"], "token": lock["token"]}, W1)
        seen["live"] = await engine.read(state_hash)

    with_engine(tmp_path / "log.db", use, snapshot_events=20)

    async def main() -> None:
        log = SqliteEventLog(tmp_path / "log.db")
        await log.open()
        snapshots = await log.load_snapshots()
        recovered = await recover(log, now=0.0)
        from_nothing = Workspace()
        for event in await log.read(0, 10_000):
            from_nothing.evolve(event)
        assert [seq for seq, _ in snapshots] == sorted((seq for seq, _ in snapshots), reverse=True) != []
        for seq, kept in snapshots:
            older = Workspace.load(kept)
            for event in await log.read(seq, 10_000):
                older.evolve(event)
            assert state_hash(older) == seen["live"]
        await log.close()
        assert state_hash(recovered) == state_hash(from_nothing) == seen["live"]

    asyncio.run(main())


def test_a_follower_of_changes_gets_bursts_merged_and_misses_none(tmp_path: Path) -> None:
    async def use(engine: Engine) -> None:
        changes = engine.changes()
        assert await anext(changes) == frozenset()
        await asyncio.gather(*(engine.submit(acquire(f"{number}.py"), W1) for number in range(30)))
        keys = await anext(changes)
        while len([key for key in keys if key[0] == "lock"]) < 30:
            keys |= await anext(changes)
        await changes.aclose()

    with_engine(tmp_path / "log.db", use)


def test_heartbeats_are_not_logged_and_name_lost_locks(tmp_path: Path) -> None:
    async def use(engine: Engine) -> None:
        lock_id = (await engine.submit(acquire("a.py"), W1))["locks"][0]["lock_id"]
        seq = engine.last_seq
        assert await engine.heartbeat(W1, Heartbeat(held=(lock_id, "gone"))) == {"lost": ["gone"]}
        assert engine.last_seq == seq

    with_engine(tmp_path / "log.db", use)


def test_a_hub_only_command_cannot_be_spelled_by_a_client(tmp_path: Path) -> None:
    async def use(engine: Engine) -> None:
        with pytest.raises(UsageError):
            await engine.submit({"type": "lock:expire", "lock_id": "x", "token": 1}, THE_HUB)

    with_engine(tmp_path / "log.db", use)


def test_a_log_that_begins_too_late_is_not_served(tmp_path: Path) -> None:
    async def use(engine: Engine) -> None:
        await engine.submit(acquire("a.py"), W1)

    with_engine(tmp_path / "log.db", use)

    async def main() -> None:
        log = SqliteEventLog(tmp_path / "log.db")
        await log.open()
        log._db.execute("DELETE FROM event WHERE seq = 1")
        await log.close()
        with pytest.raises(StoreError):
            await Engine(SqliteEventLog(tmp_path / "log.db"), SystemClock()).open()

    asyncio.run(main())


def test_an_answer_is_logged_with_its_events(tmp_path: Path) -> None:
    logged: list[LoggedReply] = []

    class Spy(SqliteEventLog):
        async def append(self, events: Any, replies: Any) -> None:
            logged.extend(replies)
            await super().append(events, replies)

    async def use(engine: Engine) -> None:
        reply = await engine.submit(acquire("a.py"), W1, "r1")
        assert LoggedReply((W1.agent_id, "r1"), reply) in logged

    with_engine(tmp_path / "log.db", use, log=Spy(tmp_path / "log.db"))


def test_a_batch_that_cannot_be_written_costs_only_the_request_that_is_to_blame(tmp_path: Path) -> None:
    deep: Any = []
    for _ in range(300):
        deep = [deep]

    async def use(engine: Engine) -> None:
        note = {"type": "broadcast", "event": "note:n", "data": {}}
        tries = [
            engine.enqueue(note, W1, "before"),
            engine.enqueue(acquire("a.py"), W1, "take"),
            engine.enqueue({**note, "data": {"deep": deep}}, W1, "deep"),
            engine.enqueue(acquire("a.py", wait_s=60), W2, "wait"),
            engine.enqueue(note, W1, "after"),
        ]
        results = await asyncio.gather(*tries[:3], tries[4], return_exceptions=True)
        assert [type(result).__name__ for result in results] == ["dict", "dict", "AegisError", "dict"]
        (lock,) = await engine.read(lambda workspace: workspace.locks.locks())
        assert lock.token == tries[1].result()["locks"][0]["token"]
        release = {"type": "lock:release", "lock_id": lock.lock_id, "token": lock.token}
        await engine.submit(release, W1)
        assert (await tries[3])["locks"]
        assert await engine.read(lambda workspace: workspace.seq) == engine.last_seq
        assert await _replayed_hash(engine) == await engine.read(state_hash)

    with_engine(tmp_path / "log.db", use)


async def _replayed_hash(engine: Engine) -> str:
    replayed = Workspace()
    for event in await engine.events(0, 10_000):
        replayed.evolve(event)
    return state_hash(replayed)


def test_requests_behind_one_on_which_the_core_fails_are_not_decided_after_their_refusal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(workspace: Workspace, command: Any, **more: Any) -> Any:
        if getattr(command, "path", "") == "bad.py":
            raise ZeroDivisionError
        return execute(workspace, command, **more)

    monkeypatch.setattr("aegis_tui.hub.engine.execute", failing)
    log = FullDisk(tmp_path / "log.db")

    async def use(engine: Engine) -> None:
        log.is_full = True
        names = ["a.py", "bad.py", "b.py"]
        results = await asyncio.gather(*(engine.submit(acquire(name), W1) for name in names), return_exceptions=True)
        assert all(isinstance(result, StoreError) for result in results)
        log.is_full = False
        await engine.submit(acquire("c.py"), W1)
        paths = await engine.read(lambda workspace: {lock.resource.path for lock in workspace.locks.locks()})
        assert paths == {"c.py"}

    with_engine(tmp_path / "log.db", use, log=log)
