"""Limits of a sandbox, tried in a real one; what a machine offers, read from the files of others."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from aegis_tui.adapters.sandbox import hold
from aegis_tui.adapters.sandbox.bubblewrap import BubblewrapSandbox
from aegis_tui.adapters.sandbox.limits import Mechanisms, find_mechanisms, group_parents, inner_argv, outer_argv
from aegis_tui.config import Limits
from aegis_tui.ports.sandbox import SandboxLevel, SandboxSpec

TIGHT = Limits(processes=40, memory_mb=400, file_mb=2, temporary_mb=1)
FORKS = """
import os, sys
made = 0
try:
    while made < 200:
        if os.fork() == 0:
            os.setsid()
            while True:
                try:
                    os.fork() or __import__("time").sleep(30)
                except OSError:
                    pass
        made += 1
except OSError:
    pass
print(made)
"""


@pytest.fixture
def sandbox() -> BubblewrapSandbox:
    made = BubblewrapSandbox(limits=TIGHT)
    if asyncio.run(made.probe()).level is SandboxLevel.NONE:
        pytest.skip("missing: bwrap")
    return made


def run(sandbox: BubblewrapSandbox, worktree: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"]}
    spec = SandboxSpec(worktree=worktree, cwd=worktree, environment=environment, own_session=True)
    wrapped = sandbox.wrap(argv, spec, SandboxLevel.BUBBLEWRAP)
    return subprocess.run(wrapped, capture_output=True, text=True, timeout=30, check=False)


@pytest.mark.boundary(
    layer="limits",
    tried="a fork bomb, each process in a session of its own",
    refused="the kernel refuses processes beyond the limit; where it cannot, the sandbox report says so",
)
def test_a_fork_bomb_stays_in_its_sandbox_and_ends_with_it(sandbox: BubblewrapSandbox, tmp_path: Path) -> None:
    report = asyncio.run(sandbox.probe())
    if "not limited" in report.layers["limits"]:
        pytest.skip("missing: a control group that may be made, or a user that is not root")
    result = run(sandbox, tmp_path, "timeout", "0.5", "python3", "-I", "-S", "-c", FORKS)
    made = result.stdout.strip()
    assert result.returncode == 124 or int(made) < TIGHT.processes, result.stderr[-500:]
    # The sandbox's own end is told a moment before the kernel has ended the last process in it.
    for _ in range(600):
        if not (alive := [path for path in Path("/proc").glob("[0-9]*/cmdline") if FORKS.encode() in _bytes(path)]):
            break
        time.sleep(0.05)
    assert alive == []


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


@pytest.mark.boundary(
    layer="limits",
    tried="a file over the limit, in the worktree or in memory; a full /tmp, /dev/shm; files in /dev",
    refused="the write fails with the reason; nothing outside is changed",
)
def test_files_and_folders_in_memory_are_bounded(sandbox: BubblewrapSandbox, tmp_path: Path) -> None:
    fill = "for i in 1 2 3; do head -c 900000 /dev/zero > /tmp/$i; done"
    script = f"head -c 9000000 /dev/zero > large; {fill}; echo x > /dev/x"
    result = run(sandbox, tmp_path, "bash", "-c", script)
    assert (tmp_path / "large").stat().st_size == TIGHT.file_mb * 1024 * 1024
    assert "File too large" in result.stderr
    assert "No space left on device" in result.stderr
    assert "/dev/x: Read-only file system" in result.stderr


@pytest.mark.boundary(
    layer="limits", tried="more memory than the limit", refused="the allocation fails inside; nothing outside is ended"
)
def test_memory_is_bounded(sandbox: BubblewrapSandbox, tmp_path: Path) -> None:
    result = run(sandbox, tmp_path, "python3", "-I", "-S", "-c", "bytearray(700 * 1024 * 1024)")
    assert result.returncode != 0
    assert "MemoryError" in result.stderr or result.returncode in (-9, 137)


def test_a_plain_user_is_limited_inside_its_own_user_namespace(tmp_path: Path) -> None:
    """As root the test becomes another user; any other user is one already."""
    script = tmp_path / "hold.py"
    script.write_text(Path(hold.__file__).read_text())
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == os.getuid() and folder != Path("/tmp"):
            folder.chmod(folder.stat().st_mode | 0o055)
    user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.geteuid() == 0 else []
    inner = inner_argv(TIGHT, Mechanisms(is_root=False))
    python = ["/usr/bin/python3", *inner[1:3], str(script), *inner[4:]]
    box = [
        "bwrap",
        "--unshare-all",
        "--ro-bind",
        "/",
        "/",
        "--proc",
        "/proc",
        "--dev",
        "/dev",
        "--die-with-parent",
        "--",
    ]
    result = subprocess.run(
        [*user, *box, *python, "timeout", "0.5", "/usr/bin/python3", "-I", "-S", "-c", FORKS],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    if result.stderr.startswith("bwrap:"):
        pytest.skip("missing: namespaces for a user without rights")
    assert result.returncode == 124 or int(result.stdout) < TIGHT.processes, result.stderr[-500:]


@pytest.mark.parametrize(
    "words",
    [
        ["--group", "/proc/no", "pids.max", "5"],
        ["--group", "/proc/no"],
        ["--rlimit", "RLIMIT_NONE", "5"],
        ["--rlimit", "RLIMIT_CORE", "x"],
        ["--odd"],
    ],
)
def test_a_limit_that_cannot_be_set_starts_nothing(words: list[str], tmp_path: Path) -> None:
    program = ["--", "touch", str(tmp_path / "made")]
    argv = [sys.executable, "-I", "-S", hold.__file__, *words, *program]
    result = subprocess.run(argv, capture_output=True, text=True, timeout=20, check=False)
    assert result.returncode == hold.EXIT_NO_LIMIT
    assert "a limit cannot be set" in result.stderr
    assert not (tmp_path / "made").exists()


def test_a_group_whose_process_is_gone_is_removed(tmp_path: Path) -> None:
    for name in ("aegis-999999999", f"aegis-{os.getpid()}", "other-1"):
        (tmp_path / name).mkdir()
    hold.sweep(str(tmp_path))
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"aegis-{os.getpid()}", "other-1"]


MOUNTS_V1 = "cgroup {root}/pids cgroup rw,pids 0 0\ncgroup {root}/memory cgroup rw,memory 0 0\n"
MOUNTS_V2 = "cgroup2 {root}/unified cgroup2 rw,nosuid 0 0\n"


@pytest.mark.parametrize(
    ("groups", "mounts", "pids", "memory"),
    [
        ("8:pids:/a\n4:cpu,memory:/b\n", MOUNTS_V1, ["pids/a"], ["memory/b"]),
        ("0::/user/app/own.scope\n", MOUNTS_V2, ["unified/user/app"], ["unified/user/app"]),
        ("0::/\n", MOUNTS_V2, ["unified"], ["unified"]),
        ("", MOUNTS_V1 + MOUNTS_V2, [], []),
    ],
)
def test_the_places_of_control_groups(
    tmp_path: Path, groups: str, mounts: str, pids: list[str], memory: list[str]
) -> None:
    """A plain folder stands for the file system of control groups: no limit can be put there, and none is claimed."""
    proc = tmp_path / "proc"
    (proc / "self").mkdir(parents=True)
    (proc / "self" / "cgroup").write_text(groups)
    (proc / "self" / "mounts").write_text(mounts.format(root=tmp_path))
    (proc / "meminfo").write_text("MemTotal:        8000000 kB\n")
    for place in {*pids, *memory}:
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "cgroup.procs").write_text("")
    assert [str(path.relative_to(tmp_path)) for path in group_parents("pids", proc)] == pids
    assert [str(path.relative_to(tmp_path)) for path in group_parents("memory", proc)] == memory
    seen = find_mechanisms("/nowhere/bwrap", "--size BYTES", proc, uid=0)
    assert (seen.processes, seen.memory, seen.can_size, seen.memory_bytes) == (None, None, True, 8_192_000_000)
    assert not list(tmp_path.rglob("aegis-*"))
    assert "not limited (root" in seen.describe(has_process_limit=False)
    assert inner_argv(TIGHT, seen) == []
    assert "--rlimit RLIMIT_FSIZE 2097152" in " ".join(outer_argv(TIGHT, seen))
