"""Programs that do what they can to stay, to flood, or to hang: each ends, and what it started with it."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from aegis_tui.adapters.process import find_identity
from aegis_tui.adapters.program import SubprocessRunner
from aegis_tui.ports.program import Bounds, ProgramResult

MIB = 1024 * 1024
DAEMON = """
import os, signal, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        open(sys.argv[1], "w").write(str(os.getpid()))
        time.sleep(600)
    os._exit(0)
while not os.path.exists(sys.argv[1]):
    time.sleep(0.01)
print("ready", flush=True)
if sys.argv[2] == "hang":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(600)
"""


def run(
    *argv: str, cwd: Path, timeout_s: float = 30.0, bounds: Bounds | None = None, head: int = 0, tail: int = 1000
) -> ProgramResult:
    environment = {"PATH": os.environ["PATH"]}
    return asyncio.run(
        SubprocessRunner().run(
            argv,
            cwd=cwd,
            environment=environment,
            timeout_s=timeout_s,
            head_bytes=head,
            tail_bytes=tail,
            bounds=bounds,
        )
    )


@pytest.mark.parametrize("ending", ["at once", "hang"])
def test_a_daemon_that_ignores_signals_and_keeps_the_output_open_ends_with_its_program(
    tmp_path: Path, ending: str
) -> None:
    note = tmp_path / "pid"
    result = run(
        *(sys.executable, "-I", "-S", "-c", DAEMON, str(note), ending),
        cwd=tmp_path,
        timeout_s=30.0 if ending == "at once" else 1.5,
    )
    assert (result.exit_code, result.stopped) == (0 if ending == "at once" else None, "")
    assert "ready" in result.output
    assert find_identity(int(note.read_text())) is None


def test_endless_output_is_ended_and_only_its_two_ends_are_kept(tmp_path: Path) -> None:
    result = run("yes", "x" * 100, cwd=tmp_path, bounds=Bounds(output_bytes=4 * MIB), head=500, tail=500)
    assert result.exit_code is None
    assert result.stopped == "it printed more than 4 MiB (limits.output_mb)"
    assert len(result.output) < 1100
    assert "bytes left out" in result.output


def test_a_disk_that_fills_up_ends_the_program(tmp_path: Path) -> None:
    script = "for i in 1 2 3 4 5 6 7 8; do head -c 1000000 /dev/zero > f$i; done; sleep 600"
    bounds = Bounds(folders=(tmp_path,), disk_bytes=4 * MIB)
    result = run("bash", "-c", script, cwd=tmp_path, bounds=bounds)
    assert result.exit_code is None
    assert "4 MiB are allowed (limits.disk_mb)" in result.stopped


def test_what_stays_in_its_bounds_is_as_it_was(tmp_path: Path) -> None:
    bounds = Bounds(folders=(tmp_path,), disk_bytes=4 * MIB, output_bytes=MIB)
    result = run("bash", "-c", "echo one; echo two >&2; exit 3", cwd=tmp_path, bounds=bounds)
    assert (result.exit_code, result.output, result.stopped) == (3, "one\ntwo\n", "")
