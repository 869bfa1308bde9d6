from __future__ import annotations

import asyncio
import time
from pathlib import Path

import psutil
import pytest

from aegis_tui.agent.process import Finished, run_process


def run(command: str, cwd: Path, *, timeout_s: float = 20.0, limit_bytes: int = 4096) -> Finished:
    return asyncio.run(run_process(["bash", "-c", command], cwd=cwd, timeout_s=timeout_s, limit_bytes=limit_bytes))


def is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_gone(pid: int) -> bool:
    deadline = time.monotonic() + 5
    while is_alive(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    return not is_alive(pid)


def test_output_and_errors_come_in_order_with_the_exit_code(tmp_path: Path) -> None:
    assert run("echo out; echo err >&2; exit 3", tmp_path) == Finished(3, "out\nerr\n", timed_out=False)


def test_there_is_no_terminal_and_no_input(tmp_path: Path) -> None:
    assert (
        run("cat; test -t 0 || echo none; (: </dev/tty) 2>/dev/null || echo alone", tmp_path).output == "none\nalone\n"
    )


def test_too_much_output_keeps_head_and_tail(tmp_path: Path) -> None:
    output = run("echo first; head -c 2000000 /dev/zero | tr '\\0' x; echo; echo last", tmp_path).output
    assert output.startswith("first\n")
    assert output.endswith("last\n")
    assert "bytes left out" in output
    assert len(output) < 5000


def test_the_whole_group_is_killed_at_the_deadline(tmp_path: Path) -> None:
    finished = run("sleep 60 & echo $! > pid; echo begun; wait", tmp_path, timeout_s=0.5)
    assert finished.timed_out
    assert finished.output == "begun\n"
    assert wait_gone(int((tmp_path / "pid").read_text()))


def test_what_is_left_in_the_background_ends_with_the_command(tmp_path: Path) -> None:
    assert run("sleep 60 & echo $! > pid; echo done", tmp_path).output == "done\n"
    assert wait_gone(int((tmp_path / "pid").read_text()))


def test_cancelling_kills_the_group_too(tmp_path: Path) -> None:
    async def scenario() -> None:
        task = asyncio.create_task(
            run_process(["bash", "-c", "echo $$ > pid.tmp; mv pid.tmp pid; sleep 60"], cwd=tmp_path, timeout_s=60)
        )
        while True:
            if (tmp_path / "pid").exists():
                break
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(scenario())
    assert wait_gone(int((tmp_path / "pid").read_text()))


def test_a_program_that_is_missing_leaves_nothing_open(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        asyncio.run(run_process(["no-such-program-here"], cwd=tmp_path, timeout_s=5))
