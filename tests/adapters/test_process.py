from __future__ import annotations

import asyncio
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from aegis_tui.adapters.process import (
    MARKER_VARIABLES,
    end_child,
    end_group,
    end_process_tree,
    find_identity,
    is_same_process_alive,
    process_tree,
)
from aegis_tui.adapters.process_table import ProcessIdentity, ancestors, read_table

Start = Callable[..., subprocess.Popen[bytes]]
DAEMON = """
import os, sys, time
os.fork() and os._exit(0)
os.setsid()
open(sys.argv[1], "w").write(str(os.getpid()))
time.sleep(60)
"""


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a program in a session of its own; it is ended with the test."""
    started: list[subprocess.Popen[bytes]] = []

    def run(*argv: str, **environment: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(argv, env=os.environ | environment, start_new_session=True)
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.wait()


def wait_for(path: Path) -> int:
    deadline = time.monotonic() + 8
    while not (path.exists() and path.read_text().strip()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return int(path.read_text())


def test_a_process_is_alive_until_it_ends_and_its_zombie_is_not(start: Start) -> None:
    process = start("sleep", "60")
    identity = find_identity(process.pid)
    assert identity is not None and is_same_process_alive(identity)
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert not is_same_process_alive(identity)


def test_another_process_with_the_same_pid_is_another_process(start: Start) -> None:
    process = start("sleep", "60")
    assert not is_same_process_alive(ProcessIdentity(process.pid, 0.5))


@pytest.mark.parametrize("pid", [0, -1, 2**22 + 1])
def test_there_is_no_such_process(pid: int) -> None:
    assert find_identity(pid) is None
    assert process_tree(pid) == []


def test_a_tree_holds_children_grandchildren_and_the_rest_of_the_session(start: Start, tmp_path: Path) -> None:
    orphan = tmp_path / "orphan"
    script = f"(sleep 60 & echo $! > {orphan}); sh -c 'sleep 60; true' & wait"
    process = start("sh", "-c", script)
    wait_for(orphan)
    deadline = time.monotonic() + 8
    while len(process_tree(process.pid)) < 4 and time.monotonic() < deadline:
        time.sleep(0.01)
    tree = process_tree(process.pid)
    assert tree[0].pid == process.pid
    assert len(tree) == len(set(tree)) == 4
    assert int(orphan.read_text()) in {identity.pid for identity in tree}
    end_process_tree(process.pid, marker=None, grace_s=2)
    assert not any(map(is_same_process_alive, tree))


def test_a_polite_end_comes_before_the_other_one(start: Start, tmp_path: Path) -> None:
    told, ready = tmp_path / "told", tmp_path / "ready"
    process = start("sh", "-c", f"trap 'echo 1 > {told}; exit 0' TERM; echo 1 > {ready}; while :; do sleep 0.05; done")
    wait_for(ready)
    end_process_tree(process.pid, marker=None, grace_s=5)
    assert told.exists()


def test_what_ignores_the_polite_signal_or_is_stopped_is_ended_all_the_same(start: Start, tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    process = start("sh", "-c", f"trap '' TERM; echo 1 > {ready}; kill -STOP $$; while :; do sleep 0.05; done")
    wait_for(ready)
    end_process_tree(process.pid, marker=None, grace_s=0.1)
    assert process.wait(timeout=5) == -9


def test_what_a_leader_left_in_its_group_is_ended_stubborn_or_not(start: Start, tmp_path: Path) -> None:
    script = 'sleep 60 & echo $! > "$1"; (trap "" TERM; exec sleep 61) & echo $! > "$2"'
    leader = start("bash", "-c", script, "-", str(tmp_path / "a"), str(tmp_path / "b"))
    left = [find_identity(wait_for(tmp_path / name)) for name in ("a", "b")]
    assert leader.wait(8) == 0
    end_group(leader.pid, grace_s=0.2)
    assert [identity is not None and is_same_process_alive(identity) for identity in left] == [False, False]
    assert None not in left


def test_a_daemon_is_found_by_both_its_markers_and_by_no_fewer(start: Start, tmp_path: Path) -> None:
    workspace = secrets.token_hex(6)
    pids = {}
    for name, (instance, key) in {"mine": ("w01", workspace), "next": ("w02", workspace), "far": ("w01", "0")}.items():
        start(
            sys.executable,
            "-c",
            DAEMON,
            str(tmp_path / name),
            **dict(zip(MARKER_VARIABLES, (instance, key), strict=True)),
        )
        pids[name] = find_identity(wait_for(tmp_path / name))
    mine, neighbour, far = (pids[name] for name in ("mine", "next", "far"))
    assert mine and neighbour and far
    try:
        assert end_process_tree(None, marker=("w01", workspace), grace_s=2) == 1
        assert not is_same_process_alive(mine)
        assert is_same_process_alive(neighbour)
        assert is_same_process_alive(far)
    finally:
        end_process_tree(None, marker=("w02", workspace), grace_s=1)
        end_process_tree(far.pid, marker=None, grace_s=1)


@pytest.mark.parametrize("pid", [lambda: -1, lambda: 0, lambda: 1, os.getpid, os.getppid])
def test_the_first_process_this_one_and_its_ancestors_are_never_ended(pid: Callable[[], int]) -> None:
    assert end_process_tree(pid(), marker=None, grace_s=0) == 0


def test_one_that_bears_the_marker_does_not_end_itself() -> None:
    code = (
        "from aegis_tui.adapters import process; print(process.end_process_tree(None, marker=('w9', 'k9'), grace_s=0))"
    )
    environment = os.environ | dict(zip(MARKER_VARIABLES, ("w9", "k9"), strict=True))
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=20)
    assert (done.returncode, done.stdout.strip()) == (0, "0"), done.stderr


@pytest.mark.parametrize("cancels", [0, 1, 2, 5])
def test_a_child_is_waited_for_however_often_the_task_that_ends_it_is_cancelled(cancels: int) -> None:
    async def end() -> tuple[int | None, bool]:
        pipe = asyncio.subprocess.PIPE
        child = await asyncio.create_subprocess_exec("sleep", "60", stdin=pipe, stdout=pipe)
        task = asyncio.create_task(end_child(child))
        for _ in range(cancels):
            await asyncio.sleep(0)
            task.cancel()
        await asyncio.wait([task])
        return child.returncode, task.cancelled()

    assert asyncio.run(end()) == (-9, cancels > 0)


def test_a_table_knows_children_groups_and_zombies() -> None:
    code = "import os, time; pid = os.fork(); pid or os._exit(0); print(pid, flush=True); time.sleep(60)"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as up:
        try:
            assert up.stdout is not None
            zombie = int(up.stdout.readline())
            deadline = time.monotonic() + 10
            while zombie in (table := read_table()) and time.monotonic() < deadline:
                time.sleep(0.01)
            assert table.descendants(up.pid) == [zombie] and table.get(zombie) is None
            assert sorted(table.led_by(up.pid)) == sorted([up.pid, zombie])
            assert table.get(up.pid) == find_identity(up.pid)
            assert ancestors(up.pid)[0] == os.getpid()
        finally:
            up.kill()
