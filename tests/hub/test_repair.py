from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from aegis_tui.adapters.store.salvage import LOST_EVENT, UNMARKED_EVENTS
from aegis_tui.adapters.store.sqlite_log import SqliteEventLog
from aegis_tui.bootstrap.log import repair_log
from aegis_tui.domain.decision import THE_PERSON, Actor
from aegis_tui.domain.message.events import Broadcast
from aegis_tui.errors import HubUnavailable, StoreError
from aegis_tui.hub.engine import Engine
from aegis_tui.hub.record import load_or_create_key, only_hub
from aegis_tui.sdk.clock import SystemClock
from aegis_tui.sdk.discovery import WorkspacePaths

W1 = Actor("CLAUDE-one", "instance")
LAST = 41


async def write(paths: WorkspacePaths, *, snapshot_events: int = 1_000) -> None:
    """One instance and forty locks."""
    engine = Engine(SqliteEventLog(paths.log_db), SystemClock(), snapshot_events=snapshot_events)
    await engine.open()
    await engine.submit({"type": "agent:register", "agent_type": "CLAUDE", "instance_id": "one"}, THE_PERSON, "join")
    for number in range(LAST - 1):
        await engine.submit({"type": "lock:acquire", "path": f"{number}.py"}, W1, f"take-{number}")
    await engine.close()


def damage(path: Path, seq: int) -> None:
    raw = bytearray(path.read_bytes())
    raw[raw.index(f'"seq":{seq},'.encode()) + 30] ^= 4
    path.write_bytes(raw)


async def look(paths: WorkspacePaths) -> tuple[list[int], list[str], int]:
    """Tokens of the locks, types of all events, and the token of a new lock."""
    engine = Engine(SqliteEventLog(paths.log_db), SystemClock())
    await engine.open()
    tokens = await engine.read(lambda workspace: [lock.token for lock in workspace.locks.locks()])
    events = await engine.events(0, 10_000)
    reply = await engine.submit({"type": "lock:acquire", "path": "new.py"}, W1, "new")
    await engine.close()
    types = [event.data.event if isinstance(event.data, Broadcast) else event.type for event in events]
    return tokens, types, int(reply["locks"][0]["token"])


def test_what_follows_the_damage_is_lost_and_its_numbers_are_never_given_again(paths: WorkspacePaths) -> None:
    paths.create()
    asyncio.run(write(paths))
    damage(paths.log_db, 30)
    with pytest.raises(StoreError, match=r"event 30 .*") as caught:
        asyncio.run(look(paths))
    assert "aegis-tui hub repair" in caught.value.hint
    done = repair_log(paths)
    assert done is not None
    assert (done.kept, done.lost, done.forgotten) == (29, (30, LAST), 0)
    assert done.put_aside and done.put_aside.read_bytes()
    tokens, types, new = asyncio.run(look(paths))
    assert tokens == list(range(2, 30))
    assert types == ["agent:joined", *["lock:acquired"] * 28, *[LOST_EVENT] * 12]
    assert new == LAST + 1
    assert repair_log(paths) is None


def test_damage_before_a_snapshot_costs_history_and_no_state(paths: WorkspacePaths) -> None:
    paths.create()
    asyncio.run(write(paths, snapshot_events=20))
    damage(paths.log_db, 5)
    done = repair_log(paths)
    assert done is not None
    assert (done.kept, done.lost, done.forgotten) == (LAST - 5, None, 5)
    tokens, types, new = asyncio.run(look(paths))
    assert tokens == list(range(2, LAST + 1))
    assert (len(types), new) == (LAST - 5, LAST + 1)


def test_a_log_that_ends_before_its_mark_is_filled_up(paths: WorkspacePaths) -> None:
    paths.create()
    asyncio.run(write(paths))

    async def cut() -> None:
        log = SqliteEventLog(paths.log_db)
        await log.open()
        log._db.execute("DELETE FROM event WHERE seq > 10")
        await log.close()

    asyncio.run(cut())
    done = repair_log(paths)
    assert done is not None and (done.kept, done.lost) == (10, (11, LAST))
    assert asyncio.run(look(paths))[2] == LAST + 1


@pytest.mark.parametrize("what", ["gone", "rubbish", "no header"])
def test_where_nothing_can_be_read_a_new_log_begins_behind_every_number(paths: WorkspacePaths, what: str) -> None:
    paths.create()
    asyncio.run(write(paths))
    raw = paths.log_db.read_bytes()
    ruin = {"gone": b"", "rubbish": b"rubbish" * 1000, "no header": bytes(4096) + raw[4096:]}[what]
    paths.log_db.write_bytes(ruin)
    if what == "gone":
        paths.log_db.unlink()
    key = load_or_create_key(paths.state_dir / "joining.key")
    paths.instance_dir("w07").mkdir()
    with pytest.raises(StoreError) as caught:
        asyncio.run(look(paths))
    assert "hub repair" in caught.value.hint and "mark" not in caught.value.hint
    done = repair_log(paths)
    assert done is not None and (done.kept, done.lost) == (0, (1, LAST))
    assert (done.put_aside.read_bytes() if done.put_aside else b"") == ruin
    assert load_or_create_key(paths.state_dir / "joining.key") != key, "old tokens must not open the new log's door"
    assert asyncio.run(first_token(paths)) == LAST + 3
    assert asyncio.run(next_worker(paths)) == "w08"
    assert repair_log(paths) is None


async def first_token(paths: WorkspacePaths) -> int:
    engine = Engine(SqliteEventLog(paths.log_db), SystemClock())
    await engine.open()
    await engine.submit({"type": "agent:register", "agent_type": "CLAUDE", "instance_id": "one"}, THE_PERSON)
    reply = await engine.submit({"type": "lock:acquire", "path": "new.py"}, W1)
    await engine.close()
    return int(reply["locks"][0]["token"])


async def next_worker(paths: WorkspacePaths) -> str:
    engine = Engine(SqliteEventLog(paths.log_db), SystemClock())
    await engine.open()
    try:
        return await engine.read(lambda workspace: workspace.instances.allocate("worker"))
    finally:
        await engine.close()


def killed(paths: WorkspacePaths, *, last: int = LAST) -> None:
    """As `write`, but the process was killed: all of it is in the write-ahead log."""
    copy = paths.state_dir.with_name("copy")

    async def main() -> None:
        engine = Engine(SqliteEventLog(paths.log_db), SystemClock())
        await engine.open()
        join = {"type": "agent:register", "agent_type": "CLAUDE", "instance_id": "one"}
        await engine.submit(join, THE_PERSON, "join")
        for number in range(last - 1):
            await engine.submit({"type": "lock:acquire", "path": f"{number}.py"}, W1, f"take-{number}")
        await asyncio.to_thread(shutil.copytree, paths.state_dir, copy)
        await engine.close()

    asyncio.run(main())
    shutil.rmtree(paths.state_dir)
    copy.rename(paths.state_dir)


def damaged_ahead(paths: WorkspacePaths) -> tuple[Path, bytes]:
    """Leave the log of a killed hub with a changed bit in its write-ahead log; return that file and its content."""
    paths.create()
    killed(paths)
    ahead = Path(f"{paths.log_db}-wal")
    damage(ahead, 20)
    return ahead, ahead.read_bytes()


def test_what_lies_behind_damage_in_the_write_ahead_log_is_kept(paths: WorkspacePaths) -> None:
    _, raw = damaged_ahead(paths)
    for _ in range(2):
        with pytest.raises(StoreError, match=f"event {LAST} was acknowledged"):
            asyncio.run(look(paths))
    done = repair_log(paths)
    assert done is not None and (done.kept, done.lost) == (LAST, None)
    assert Path(f"{done.put_aside}-wal").read_bytes() == raw
    assert asyncio.run(look(paths))[0] == list(range(2, LAST + 1))
    assert asyncio.run(retry(paths, "take-30")) == 32, "answers are kept too"


def test_a_repair_that_cannot_keep_the_damaged_log_leaves_all_of_it_in_place(paths: WorkspacePaths) -> None:
    ahead, raw = damaged_ahead(paths)
    taken = paths.log_db.with_name("log.damaged-1.db")
    taken.symlink_to("nowhere")  # a name that looks free and is not
    with pytest.raises(StoreError, match="cannot salvage"):
        repair_log(paths)
    assert ahead.read_bytes() == raw, "with it, events that can still be read would be lost"
    taken.unlink()
    done = repair_log(paths)
    assert done is not None and (done.kept, done.lost) == (LAST, None)


@pytest.mark.parametrize("suffix", ["-wal", "-shm"])
def test_a_repair_that_fails_at_its_last_step_gives_every_file_its_name_back(
    paths: WorkspacePaths, suffix: str
) -> None:
    ahead, raw = damaged_ahead(paths)
    Path(f"{paths.log_db}-shm").touch()
    paths.log_db.with_name(f"log.damaged-1.db{suffix}").mkdir()  # a rename to this name fails
    names = sorted(paths.state_dir.glob("log*"))
    mark = paths.log_db.with_suffix(".mark").read_bytes()
    with pytest.raises(StoreError, match="cannot salvage"):
        repair_log(paths)
    assert sorted(paths.state_dir.glob("log*")) == names
    assert ahead.read_bytes() == raw
    assert paths.log_db.with_suffix(".mark").read_bytes() == mark


async def retry(paths: WorkspacePaths, request_id: str) -> int:
    engine = Engine(SqliteEventLog(paths.log_db), SystemClock())
    await engine.open()
    reply = await engine.submit({"type": "lock:acquire", "path": "30.py"}, W1, request_id)
    await engine.close()
    return int(reply["locks"][0]["token"])


def test_a_lost_write_ahead_log_without_its_mark_brings_no_number_back(paths: WorkspacePaths) -> None:
    paths.create()
    killed(paths)
    Path(f"{paths.log_db}-wal").write_bytes(b"")
    paths.log_db.with_suffix(".mark").unlink()
    key = load_or_create_key(paths.state_dir / "joining.key")
    with pytest.raises(StoreError, match=r"log\.mark is missing"):
        asyncio.run(look(paths))
    done = repair_log(paths)
    assert done is not None and not done.is_certain
    assert load_or_create_key(paths.state_dir / "joining.key") != key
    assert asyncio.run(first_token(paths)) > UNMARKED_EVENTS
    assert repair_log(paths) is None


def test_without_any_log_no_token_of_an_earlier_one_is_good(paths: WorkspacePaths) -> None:
    paths.create()
    asyncio.run(write(paths))
    key = load_or_create_key(paths.state_dir / "joining.key")
    with only_hub(paths):
        assert load_or_create_key(paths.state_dir / "joining.key") == key
    paths.log_db.unlink()
    paths.log_db.with_suffix(".mark").unlink()
    with only_hub(paths):
        assert load_or_create_key(paths.state_dir / "joining.key") != key


def test_a_damaged_answer_is_dropped_and_that_is_said(paths: WorkspacePaths) -> None:
    paths.create()
    asyncio.run(write(paths))
    raw = bytearray(paths.log_db.read_bytes())
    in_table = re.search(rb'take-20.{1,4}\{"locks', raw, re.DOTALL)
    assert in_table
    raw[in_table.start() + 6] ^= 2
    paths.log_db.write_bytes(raw)
    done = repair_log(paths)
    assert done is not None and (done.kept, done.lost, done.are_answers_whole) == (LAST, None, False)
    assert asyncio.run(retry(paths, "take-30")) == 32


@pytest.mark.parametrize("name", ["request", "request_by_seq"])
def test_a_log_that_could_be_read_but_not_written_is_repaired(paths: WorkspacePaths, name: str) -> None:
    paths.create()
    asyncio.run(write(paths))
    with contextlib.closing(sqlite3.connect(paths.log_db)) as connection:
        (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (name,)).fetchone()
    raw = bytearray(paths.log_db.read_bytes())
    raw[(page - 1) * 4096 : (page - 1) * 4096 + 200] = b"\xff" * 200
    paths.log_db.write_bytes(raw)
    done = repair_log(paths)
    assert done is not None and (done.kept, done.lost) == (LAST, None)
    assert done.are_answers_whole == (name == "request_by_seq")
    assert asyncio.run(look(paths))[2] == LAST + 1


def test_a_log_of_a_newer_program_is_not_repaired(paths: WorkspacePaths) -> None:
    paths.create()
    asyncio.run(write(paths))
    with contextlib.closing(sqlite3.connect(paths.log_db)) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreError, match="newer"):
        repair_log(paths)


def test_the_lock_of_a_hub_that_is_ending_is_waited_for(paths: WorkspacePaths) -> None:
    """`kill -9` and a new start at once: the killed process may hold the lock for a moment."""
    paths.create()
    holder = "import fcntl, sys, time; f = open(sys.argv[1], 'a'); fcntl.flock(f, 2); print(flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", holder, str(paths.hub_lock)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.read(1)
        with pytest.raises(HubUnavailable, match="is already running for this workspace"), only_hub(paths):
            pass
        end = threading.Timer(0.2, process.kill)
        end.start()
        with only_hub(paths):
            assert process.wait(10) != 0
        end.join()


def test_nothing_is_repaired_under_a_running_hub_or_without_need(paths: WorkspacePaths) -> None:
    paths.create()
    assert repair_log(paths) is None
    asyncio.run(write(paths))
    assert repair_log(paths) is None
    with only_hub(paths), pytest.raises(HubUnavailable):
        repair_log(paths)
