import asyncio
import json
import os
import re
import resource
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from aegis_tui.adapters.store.sqlite_log import SqliteEventLog
from aegis_tui.domain.core import state_hash
from aegis_tui.domain.workspace import Workspace
from aegis_tui.errors import AegisError, GitUnavailable, HubUnavailable, StoreError
from aegis_tui.hub.recovery import recover
from aegis_tui.sdk.discovery import (
    WorkspacePaths,
    ensure_hub,
    find_hub,
    is_running,
    process_start_time,
    start_hub,
    workspace_key_of,
    workspace_paths,
)
from aegis_tui.sdk.private_file import write_private
from aegis_tui.sdk.quick import HubAddress, HubQuick

HUB = """
import pathlib, sys
from aegis_tui.bootstrap.bare_hub import main_hub
sys.exit(main_hub(pathlib.Path(sys.argv[1])))
"""
SNAPSHOTTING_HUB = """
import asyncio, pathlib, sys
import aegis_tui.hub.run as run
from aegis_tui.bootstrap.bare_hub import main_hub
original = run.open_hub
run.open_hub = lambda paths, **options: original(paths, snapshot_events=60, **options)
sys.exit(main_hub(pathlib.Path(sys.argv[1])))
"""
SMALL_FILES_HUB = """
import pathlib, resource, sys
from aegis_tui.bootstrap.bare_hub import main_hub
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
sys.exit(main_hub(pathlib.Path(sys.argv[1])))
"""

ON_A_FULL_DISK = """
import pathlib, resource, sys
from aegis_tui.errors import AegisError
from aegis_tui.bootstrap.log import repair_log
from aegis_tui.sdk.discovery import WorkspacePaths, start_hub
paths = WorkspacePaths("k", pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
for attempt in (lambda: start_hub(paths, paths.state_dir), lambda: repair_log(paths)):
    try:
        attempt()
    except AegisError as error:
        print(error.exit_code, error.message, error.hint)
"""

Start = Callable[[str], HubAddress]


class Place:
    """A repository with its workspace folders, and the hubs started for it."""

    def __init__(self, root: Path, paths: WorkspacePaths) -> None:
        self.root = root
        self.paths = paths

    def command(self, script: str) -> list[str]:
        return [sys.executable, "-c", script, str(self.root)]

    def start(self, script: str = HUB) -> HubAddress:
        return start_hub(self.paths, self.root, command=self.command(script))

    def wait_for_end(self, address: HubAddress) -> None:
        deadline = time.monotonic() + 10
        while is_running(address.pid, address.start_time):
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def kill(self, address: HubAddress, number: int = signal.SIGKILL) -> None:
        os.kill(address.pid, number)
        self.wait_for_end(address)


@pytest.fixture
def place(tmp_path: Path, paths: WorkspacePaths, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    root = tmp_path / "repo"
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    runtime = paths.runtime_dir.parent
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    monkeypatch.setenv("AEGIS_PORT", "0")
    found = Place(root, workspace_paths(workspace_key_of(root), os.environ))
    yield found
    if address := find_hub(found.paths):
        found.kill(address)


def test_a_hub_is_started_once_found_and_ends_cleanly(place: Place) -> None:
    assert find_hub(place.paths) is None
    address = ensure_hub(place.paths, place.root, command=place.command(HUB))
    assert ensure_hub(place.paths, place.root, command=place.command(HUB)) == address
    assert address.pid != os.getpid() and os.getsid(address.pid) == address.pid
    assert address.token not in " ".join(psutil.Process(address.pid).cmdline())
    HubQuick(address).command("broadcast", event="note:n", data={})
    place.kill(address, signal.SIGTERM)
    assert not place.paths.hub_json.exists() and not place.paths.hub_socket.exists()
    assert address.token not in place.paths.hub_log.read_text()
    again = place.start()
    assert again.token != address.token
    assert HubQuick(again).healthz()["seq"] == 1


def test_two_starts_at_once_give_one_hub(place: Place) -> None:
    async def main() -> list[HubAddress]:
        jobs = [asyncio.to_thread(ensure_hub, place.paths, place.root, command=place.command(HUB)) for _ in range(3)]
        return await asyncio.gather(*jobs)

    first, *others = asyncio.run(main())
    assert all(other == first for other in others)


def test_a_hub_that_cannot_start_says_why(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    address = place.start()
    busy = address.url.rpartition(":")[2]
    place.kill(address)
    monkeypatch.setenv("AEGIS_PORT", "70000")
    with pytest.raises(HubUnavailable, match="not a port number"):
        place.start()
    monkeypatch.setenv("AEGIS_PORT", busy)
    with pytest.raises(HubUnavailable, match="did not start"):
        start_hub(place.paths, place.root, command=[sys.executable, "-c", "print('no')"])
    with pytest.raises(HubUnavailable, match="cannot run"):
        start_hub(place.paths, place.root, command=[str(place.root / "absent")])


STOPPED_AT_FIRST_HUB = "import os, signal; os.kill(os.getpid(), signal.SIGSTOP)\n" + HUB


def test_a_start_that_takes_long_is_waited_for_and_told(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aegis_tui.sdk.life.TELL_AFTER_S", 0.0)
    monkeypatch.setattr("aegis_tui.sdk.life.TELL_EVERY_S", 0.0)
    lines: list[str] = []

    def told(line: str) -> None:
        lines.append(line)
        if (found := re.search(r"process (\d+)\).*it is stopped", line)) is not None:
            os.kill(int(found[1]), signal.SIGCONT)

    address = start_hub(place.paths, place.root, command=place.command(STOPPED_AT_FIRST_HUB), told=told)
    assert f"the hub (process {address.pid}) has been starting for 0 s: " in lines[0]
    assert any("it is stopped" in line for line in lines)
    assert any(line.endswith(("loading", "opening the log", "the hub serves")) for line in lines)


def test_a_start_without_any_sign_of_life_is_given_up_with_its_process(place: Place) -> None:
    with pytest.raises(HubUnavailable, match=r"\(process \d+\) has done nothing") as caught:
        start_hub(place.paths, place.root, command=place.command(STOPPED_AT_FIRST_HUB), silent_s=0.5)
    (pid,) = re.findall(r"process (\d+)", caught.value.message)
    assert not psutil.pid_exists(int(pid))


def test_a_start_behind_another_that_is_slow_waits_for_that_one(place: Place) -> None:
    slow = "import time, aegis_tui.hub.engine as e\n" + SLOW_OPEN + HUB
    script = place.command(slow)

    async def main() -> list[HubAddress]:
        first = asyncio.create_task(asyncio.to_thread(start_hub, place.paths, place.root, command=script))
        await asyncio.to_thread(wait_for_file, place.paths.hub_lock)
        return [await asyncio.to_thread(start_hub, place.paths, place.root, command=place.command(HUB)), await first]

    second, first = asyncio.run(main())
    assert second == first


def wait_for_file(path: Path) -> None:
    while not path.exists():
        time.sleep(0.01)


SLOW_OPEN = """
opened = e.Engine.open
async def open_slowly(self):
    import asyncio
    await asyncio.sleep(3)
    await opened(self)
e.Engine.open = open_slowly
"""


def test_a_hub_that_runs_under_another_runtime_folder_is_found(place: Place, tmp_path: Path) -> None:
    address = place.start()
    elsewhere = workspace_paths(place.paths.key, {**os.environ, "XDG_RUNTIME_DIR": "/nonexistent"})
    assert elsewhere.runtime_dir != place.paths.runtime_dir
    assert find_hub(elsewhere) == address


@pytest.mark.parametrize("what", ["hub.json", "hub.sock", "folder"])
def test_a_runtime_folder_that_is_cleared_is_filled_again(place: Place, what: str) -> None:
    address = place.start()
    if what == "folder":
        shutil.rmtree(place.paths.runtime_dir.parent)
        place.paths.runtime_dir.parent.mkdir(mode=0o700)
    else:
        (place.paths.runtime_dir / what).unlink()
    deadline = time.monotonic() + 60
    while not (place.paths.hub_json.exists() and place.paths.hub_socket.exists() and find_hub(place.paths) == address):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert HubQuick(address).command("broadcast", event="note:n", data={})["ok"]
    assert stat.S_IMODE(place.paths.hub_json.stat().st_mode) == stat.S_IMODE(place.paths.hub_socket.stat().st_mode)
    assert stat.S_IMODE(place.paths.hub_json.stat().st_mode) == 0o600
    place.kill(address, signal.SIGTERM)
    assert not place.paths.hub_json.exists() and not place.paths.hub_socket.exists()


@pytest.mark.parametrize("kind", ["text", "number for text", "another token", "pipe", "folder", "socket file"])
def test_a_record_that_leads_nowhere_is_replaced_while_the_hub_runs(place: Place, kind: str) -> None:
    address = place.start()
    good = place.paths.hub_json.read_text()
    spoilt = place.paths.hub_socket if kind == "socket file" else place.paths.hub_json
    spoilt.unlink()
    match kind:
        case "pipe":
            os.mkfifo(spoilt)
        case "folder":
            (spoilt / "inner").mkdir(parents=True)
        case "number for text":
            spoilt.write_text(json.dumps({**json.loads(good), "pid": "x", "url": 1}))
        case "another token":
            spoilt.write_text(json.dumps({**json.loads(good), "token": "0" * 64}))
        case _:
            spoilt.write_text("{{{")
    deadline = time.monotonic() + 10
    while find_hub(place.paths) != address:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    place.kill(address, signal.SIGTERM)
    assert not place.paths.hub_json.exists() and not place.paths.hub_socket.exists()


def test_the_record_of_another_hub_that_runs_is_left_alone(place: Place) -> None:
    address = place.start()
    good = place.paths.hub_json.read_text()
    mine = {"pid": os.getpid(), "start_time": process_start_time(os.getpid()), "url": "", "socket": "/n", "token": "t"}
    write_private(place.paths.hub_json, json.dumps(mine))
    place.paths.hub_socket.unlink()
    deadline = time.monotonic() + 10
    while not place.paths.hub_socket.is_socket():  # put back after the look at the record
        assert time.monotonic() < deadline
        time.sleep(0.02)
    left = json.loads(place.paths.hub_json.read_text())
    write_private(place.paths.hub_json, good)
    place.kill(address, signal.SIGTERM)
    assert left == mine


def test_a_killed_hub_comes_back_to_exactly_what_it_acknowledged(place: Place, tmp_path: Path) -> None:
    address = place.start(SNAPSHOTTING_HUB)
    joined = HubQuick(address).command("agent:register", agent_type="CLAUDE", instance_id="load")
    journal = tmp_path / "journal"
    journal.touch()
    script = str(Path(__file__).with_name("load.py"))
    argv = [sys.executable, script, address.socket, joined["token_file"], str(journal), "400"]
    load = subprocess.Popen(argv, stdin=subprocess.DEVNULL)
    try:
        for round_number in range(5):
            wanted = len(journal.read_bytes().splitlines()) + 60 + 13 * round_number
            deadline = time.monotonic() + 20
            while len(journal.read_bytes().splitlines()) < wanted and load.poll() is None:
                assert time.monotonic() < deadline
            place.kill(address)
            address = place.start(SNAPSHOTTING_HUB)
        assert load.wait(30) == 0
    finally:
        load.kill()
        load.wait()
    records = [json.loads(line) for line in journal.read_bytes().splitlines()]
    assert len(records) == 800
    _check_answers(address, Path(joined["token_file"]).read_text(), records)
    place.kill(address)
    asyncio.run(_check_replay(place.paths, records))


def _check_answers(address: HubAddress, token: str, records: list[dict[str, Any]]) -> None:
    """Each acknowledged request, sent again, gets the same answer; no token was given twice."""
    quick = HubQuick(HubAddress(0, 0.0, "", address.socket, token))
    for record in records[::40]:
        fields = dict(record["fields"])
        reply = quick.command(fields.pop("type"), request_id=record["request_id"], **fields)
        assert {name: reply[name] for name in record["reply"]} == record["reply"]
    tokens = [lock["token"] for record in records for lock in record["reply"].get("locks", ())]
    assert len(tokens) == len(set(tokens)) == 400


async def _check_replay(paths: WorkspacePaths, records: list[dict[str, Any]]) -> None:
    """The log has every acknowledged event once, and snapshot plus tail gives what full replay gives."""
    log = SqliteEventLog(paths.log_db)
    await log.open()
    try:
        events = await log.read(0, 100_000)
        assert [event.seq for event in events] == list(range(1, len(events) + 1))
        acquired = {event.seq for event in events if event.type == "lock:acquired"}
        released = [event for event in events if event.type == "lock:released"]
        assert acquired == {lock["token"] for record in records for lock in record["reply"].get("locks", ())}
        assert len(released) == 400
        snapshots = await log.load_snapshots()
        assert snapshots and snapshots[0][0] > 60
        replayed = Workspace()
        for event in events:
            replayed.evolve(event)
        assert state_hash(await recover(log, now=0.0)) == state_hash(replayed)
        assert replayed.locks.locks() == []
    finally:
        await log.close()


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="missing: resource.prlimit, which is Linux's")
def test_a_disk_that_is_full_refuses_and_the_hub_goes_on_when_there_is_room(place: Place) -> None:
    address = place.start(SMALL_FILES_HUB)
    quick = HubQuick(address)
    accepted, refusal = 0, None
    while refusal is None:
        try:
            quick.command("broadcast", event="note:n", data={"pad": "x" * 5000})
            accepted += 1
        except StoreError as error:
            refusal = error
    assert "disk" in refusal.hint and accepted > 0
    assert quick.healthz()["seq"] == accepted
    assert len(quick.events(limit=5000)) == accepted
    with pytest.raises(StoreError):
        quick.command("broadcast", event="note:n", data={})
    resource.prlimit(address.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    quick.command("broadcast", event="note:n", data={})
    place.kill(address)
    address = place.start()
    assert HubQuick(address).healthz()["seq"] == accepted + 1


def test_start_and_repair_say_that_the_disk_is_full(place: Place) -> None:
    address = place.start()
    HubQuick(address).command("broadcast", event="note:n", data={})
    place.kill(address)
    place.paths.log_db.write_bytes(b"rubbish")
    argv = [sys.executable, "-c", ON_A_FULL_DISK, str(place.paths.state_dir), str(place.paths.runtime_dir)]
    said = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.splitlines()
    assert [line.partition(" ")[0] for line in said] == ["5", "5"], said
    assert all("full" in line and "free space" in line for line in said), said
    assert place.paths.log_db.read_bytes() == b"rubbish"


def test_a_damaged_log_stops_the_start_with_the_event_and_the_way_out(place: Place) -> None:
    address = place.start()
    for number in range(20):
        HubQuick(address).command("broadcast", event="note:n", data={"n": number})
    place.kill(address, signal.SIGTERM)
    raw = bytearray(place.paths.log_db.read_bytes())
    raw[raw.index(b'"seq":7,') + 30] ^= 4
    place.paths.log_db.write_bytes(raw)
    with pytest.raises(HubUnavailable, match=r"event 7 .*(checksum|cannot be read)") as caught:
        place.start()
    assert "restore" in str(caught.value)
    assert find_hub(place.paths) is None


def test_a_folder_outside_a_repository_is_refused(tmp_path: Path) -> None:
    with pytest.raises(GitUnavailable):
        workspace_key_of(tmp_path)
    with pytest.raises(AegisError):
        workspace_key_of(tmp_path / "absent")
