"""Processes in the background let others go first (PERF-19)."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from aegis_tui.adapters.git.run import GitRunner
from aegis_tui.adapters.priority import NICENESS, stand_back


def _start() -> subprocess.Popen[bytes]:
    code = "import sys; sys.stdin.read()"
    return subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, start_new_session=True)


def test_a_process_stands_back_and_never_comes_forward() -> None:
    with _start() as process:
        stand_back(process.pid)
        assert os.getpriority(os.PRIO_PROCESS, process.pid) == NICENESS
        os.setpriority(os.PRIO_PROCESS, process.pid, 19)
        stand_back(process.pid)
        assert os.getpriority(os.PRIO_PROCESS, process.pid) == 19
    stand_back(process.pid)


@pytest.mark.skipif(not Path("/proc/self/autogroup").exists(), reason="missing: autogroup")
def test_its_session_stands_back_too() -> None:
    with _start() as process:
        stand_back(process.pid)
        assert f"nice {NICENESS}" in Path(f"/proc/{process.pid}/autogroup").read_text("ascii")


@pytest.mark.parametrize("policy", ["SCHED_FIFO", "SCHED_RR"])
def test_a_real_time_process_gets_the_lowest_priority_of_its_policy(policy: str) -> None:
    number = getattr(os, policy, None)
    if number is None:
        pytest.skip("missing: real-time policies of this system")
    with _start() as process:
        try:
            os.sched_setscheduler(process.pid, number, os.sched_param(7))
        except PermissionError:
            process.kill()
            pytest.skip("missing: the right to start real-time processes")
        stand_back(process.pid)
        assert os.sched_getscheduler(process.pid) == number
        assert os.sched_getparam(process.pid).sched_priority == os.sched_get_priority_min(number)


def test_a_git_command_in_the_background_stands_back_with_what_it_starts(tmp_path: Path) -> None:
    told = ("-c", "alias.told=!read line && nice", "told")

    async def run() -> list[int]:
        runner = GitRunner(git_dir=None, cwd=tmp_path)
        runners = (runner, runner.in_background())
        return [int((await one.run(*told, stdin=b"go\n")).text) for one in runners]

    before, behind = asyncio.run(run())
    assert before == os.getpriority(os.PRIO_PROCESS, 0) and behind == max(before, NICENESS)
