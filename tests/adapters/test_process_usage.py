"""What an instance uses is that of its whole tree, and of no other process (PANE-8)."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from aegis_tui.adapters.process_usage import find_usage

MIB = 1024 * 1024
CHILD = "import time; block = bytearray(b'x') * (64 << 20); print('ready', flush=True); time.sleep(60)"
PARENT = f"""
import subprocess, sys, time
end = time.process_time() + 0.3
while time.process_time() < end:
    pass
child = subprocess.Popen([sys.executable, "-c", {CHILD!r}], stdout=subprocess.PIPE)
child.stdout.readline()
print("ready", flush=True)
sys.stdin.read()
child.kill()
child.wait()
"""
MARKER = ("w01", "0123456789ab")


@pytest.fixture
def parent() -> Iterator[subprocess.Popen[str]]:
    environ = {**os.environ, "AEGIS_INSTANCE": MARKER[0], "AEGIS_WORKSPACE": MARKER[1]}
    argv = [sys.executable, "-c", PARENT]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environ, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        yield process
        process.communicate("")


def test_the_whole_tree_is_counted(parent: subprocess.Popen[str]) -> None:
    usage = find_usage(parent.pid, MARKER)
    assert usage is not None and usage.processes == 2
    assert 64 * MIB <= usage.memory_bytes < 200 * MIB
    assert usage.cpu_s >= 0.3


def test_another_process_that_has_the_pid_by_now_is_not_counted(parent: subprocess.Popen[str]) -> None:
    assert find_usage(parent.pid, ("w02", MARKER[1])) is None
    assert find_usage(parent.pid, ("w01", "another")) is None


def test_a_process_that_has_ended_uses_nothing(parent: subprocess.Popen[str]) -> None:
    parent.communicate("")
    assert find_usage(parent.pid, MARKER) is None
