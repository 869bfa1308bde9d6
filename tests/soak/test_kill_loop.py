"""kill -9 of the hub, again and again, under agents of other processes that write down each answer (HUB-5, PERF-3).

After each kill: the log holds everything that was acknowledged; the state from a snapshot and its tail is the state of
a shadow that saw every event; and what power loss may take, the end of the write-ahead log that nobody was answered
from, can go without harm, while one acknowledged commit less is noticed.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from aegis_tui.adapters.store.mark import AcknowledgedMark
from aegis_tui.adapters.store.sqlite_log import SqliteEventLog
from aegis_tui.domain.core import state_hash
from aegis_tui.domain.lock.events import LockAcquired
from aegis_tui.domain.workspace import Workspace
from aegis_tui.errors import HubUnavailable, StoreError
from aegis_tui.hub.recovery import recover
from aegis_tui.sdk.discovery import WorkspacePaths, is_running, start_hub, workspace_key_of, workspace_paths
from aegis_tui.sdk.quick import HubAddress, HubQuick
from aegis_tui.testing.history import Operation, find_violation

HERE = Path(__file__).parent
AGENTS, PROCESSES, PATHS = 6, 2, 4
STARTS = 5
DYING_SHARE = 0.05
WAL_HEADER_BYTES, FRAME_HEADER_BYTES = 32, 24


@dataclass
class Shadow:
    """What the log must hold, rebuilt from its events alone as they come."""

    state: Workspace = field(default_factory=Workspace)
    tokens: set[int] = field(default_factory=set)

    async def check(self, log: SqliteEventLog) -> None:
        """Take in what is new, and compare with every way back to the state that the log offers."""
        assert log.first_seq <= self.state.seq + 1, "compacted away before the shadow saw it"
        for event in await log.read(self.state.seq, 1_000_000):
            assert event.seq == self.state.seq + 1
            if isinstance(event.data, LockAcquired):
                assert event.data.token == event.seq
                self.tokens.add(event.data.token)
            self.state.evolve(event)
        assert state_hash(await recover(log, now=0.0)) == state_hash(self.state)
        for seq, kept in await log.load_snapshots():
            older = Workspace.load(kept)
            for event in await log.read(seq, 1_000_000):
                older.evolve(event)
            assert state_hash(older) == state_hash(self.state)


@dataclass
class Place:
    root: Path
    paths: WorkspacePaths
    journal: Path

    def start(self, seed: str, *, dying: float = DYING_SHARE) -> HubAddress:
        """A hub may die by itself before this process has seen it, in a snapshot at its start too: another follows."""
        for number in range(STARTS):
            argv = [sys.executable, str(HERE / "dying_hub.py"), str(self.root), f"{seed}.{number}", str(dying)]
            try:
                return start_hub(self.paths, self.root, command=argv)
            except HubUnavailable as error:
                last = error.message.splitlines()[-1].partition("aegis_tui.hub.run: ")[2]
                if not last.startswith(("the hub serves", "opening the log")):
                    raise
        raise AssertionError(f"{STARTS} hubs in a row ended before they were seen")

    def kill(self, address: HubAddress) -> None:
        if is_running(address.pid, address.start_time):
            os.kill(address.pid, signal.SIGKILL)
        deadline = time.monotonic() + 10
        while is_running(address.pid, address.start_time):
            assert time.monotonic() < deadline
            time.sleep(0.002)

    def history(self) -> list[Operation]:
        return [Operation(*json.loads(line)) for line in self.journal.read_bytes().splitlines()]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    root, runtime = tmp_path / "repo", Path(tempfile.mkdtemp(prefix="ak", dir="/tmp"))
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    monkeypatch.setenv("AEGIS_PORT", "0")
    journal = tmp_path / "journal"
    journal.touch()
    yield Place(root, workspace_paths(workspace_key_of(root), os.environ), journal)
    shutil.rmtree(runtime)


def clients_of(place: Place, address: HubAddress, seed: int) -> list[subprocess.Popen[bytes]]:
    quick = HubQuick(address)
    files = [
        quick.command("agent:register", agent_type="CLAUDE", instance_id=f"n{number}")["token_file"]
        for number in range(AGENTS)
    ]
    script = str(HERE.parent / "hub" / "contention.py")
    return [
        subprocess.Popen(
            [
                *(sys.executable, script, address.socket, str(place.journal), f"{seed}.{number}", "0", str(PATHS)),
                *files[number::PROCESSES],
            ],
            stdin=subprocess.DEVNULL,
        )
        for number in range(PROCESSES)
    ]


def commit_ends(wal: bytes) -> list[int]:
    """Where each commit in a write-ahead log ends, in bytes (https://sqlite.org/fileformat2.html#walformat)."""
    page_bytes, salts = int.from_bytes(wal[8:12], "big"), wal[16:24]
    ends, at = [], WAL_HEADER_BYTES
    while at + FRAME_HEADER_BYTES + page_bytes <= len(wal) and wal[at + 8 : at + 16] == salts:
        is_commit = wal[at + 4 : at + 8] != b"\0\0\0\0"
        at += FRAME_HEADER_BYTES + page_bytes
        if is_commit:
            ends.append(at)
    return ends


async def last_seq_after(log_db: Path, wal: bytes, marked: int, folder: Path) -> int:
    """The newest event of a copy of the log whose write-ahead log is `wal`; -1 when it refuses to open."""
    copy = folder / "log.db"
    shutil.copy2(log_db, copy)
    copy.with_name("log.db-wal").write_bytes(wal)
    copy.with_name("log.db-shm").unlink(missing_ok=True)
    copy.with_suffix(".mark").unlink(missing_ok=True)
    mark = AcknowledgedMark(copy.with_suffix(".mark"))
    mark.open(marked)
    mark.close()
    log = SqliteEventLog(copy)
    try:
        await log.open()
        return log.last_seq
    except StoreError:
        return -1
    finally:
        await log.close()


async def check_power_loss(paths: WorkspacePaths, folder: Path, chance: random.Random) -> int:
    """Lose the end of the write-ahead log; how many cuts were tried."""
    marked = AcknowledgedMark(paths.log_db.with_suffix(".mark")).read()
    assert marked is not None
    wal_file = paths.log_db.with_name("log.db-wal")
    wal = wal_file.read_bytes() if wal_file.exists() else b""
    ends = commit_ends(wal) if len(wal) > WAL_HEADER_BYTES else []
    if not ends:
        return 0
    needed = 0
    for end in reversed(ends):
        if await last_seq_after(paths.log_db, wal[:end], marked, folder) < marked:
            break
        needed = end
    assert needed, "what was acknowledged is not there"
    torn = chance.randrange(needed, len(wal) + 1)
    noise = chance.randbytes(len(wal) - torn)
    assert await last_seq_after(paths.log_db, wal[:torn] + noise, marked, folder) >= marked
    if ends.index(needed):
        lost = chance.randrange(ends[0], needed)
        found = await last_seq_after(paths.log_db, wal[:lost], marked, folder)
        # Where it died while it compacted, the file itself has the newest pages already.
        assert found == -1 or found >= marked, "less than what was acknowledged is served"
    return 2


async def check_log(place: Place, shadow: Shadow, folder: Path, chance: random.Random) -> int:
    cuts = await check_power_loss(place.paths, folder, chance)
    log = SqliteEventLog(place.paths.log_db, kept_events=1_000_000)
    await log.open()
    try:
        await shadow.check(log)
    finally:
        await log.close()
    return cuts


def let_work(place: Place, address: HubAddress, clients: list[subprocess.Popen[bytes]], pause_s: float) -> None:
    """Until there is one answer more, unless the hub dies first by itself, and then for some time."""
    seen, deadline = place.journal.stat().st_size, time.monotonic() + 5
    while place.journal.stat().st_size == seen and time.monotonic() < deadline:
        assert all(client.poll() is None for client in clients)
        if not is_running(address.pid, address.start_time):
            return
        time.sleep(0.005)
    time.sleep(pause_s)


def run_rounds(place: Place, rounds: int, seed: int, folder: Path) -> None:
    chance, shadow = random.Random(seed), Shadow()
    address = place.start(f"{seed}.first", dying=0.0)  # nobody repeats a registration
    clients = clients_of(place, address, seed)
    cuts = deaths = 0
    try:
        for number in range(rounds):
            let_work(place, address, clients, chance.uniform(0.02, 0.35))
            deaths += not is_running(address.pid, address.start_time)
            place.kill(address)
            power = number % 5 == 0
            cuts += asyncio.run(check_log(place, shadow, folder, chance if power else random.Random(number)))
            address = place.start(f"{seed}.{number}")
        for client in clients:
            client.terminate()
        while any(client.poll() is None for client in clients):
            if not is_running(address.pid, address.start_time):
                address = place.start(f"{seed}.last.{time.monotonic()}")
            time.sleep(0.02)
        assert [client.returncode for client in clients] == [0] * PROCESSES
    finally:
        for client in clients:
            client.kill()
            client.wait()
        place.kill(address)
    asyncio.run(check_log(place, shadow, folder, chance))
    history = place.history()
    granted = [operation.token for operation in history if operation.outcome == "granted"]
    assert len(granted) == len(set(granted)), "a token was given twice"
    assert set(granted) <= shadow.tokens, "an acknowledged lock is not in the log"
    assert find_violation(history) is None
    print(
        f"{rounds} kills, {deaths} of them by itself in a commit, snapshot or compaction, "
        f"{cuts} cuts of the write-ahead log, "
        f"{len(history)} acknowledged operations, {len(granted)} locks, {shadow.state.seq} events, seed {seed}"
    )
    assert len(granted) > rounds


@pytest.mark.parametrize(
    ("rounds", "seed"),
    [(12, 1), pytest.param(1_000, 2, marks=[pytest.mark.soak, pytest.mark.timeout(7_200)])],
)
def test_nothing_acknowledged_is_lost_and_nothing_is_granted_twice(
    place: Place, tmp_path: Path, rounds: int, seed: int
) -> None:
    folder = tmp_path / "copy"
    folder.mkdir()
    run_rounds(place, rounds, seed, folder)
