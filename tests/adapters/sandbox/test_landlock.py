"""Landlock as the second layer: it refuses writes also where a mount would let them through (SEC-1)."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from aegis_tui.adapters.sandbox import landlock
from aegis_tui.adapters.sandbox.second_layer import landlock_argv, try_landlock
from aegis_tui.ports.sandbox import SandboxLevel
from tests.adapters.sandbox.lab import Lab, needs_bwrap

MISSING = "" if landlock.find_abi() >= landlock.LEAST_ABI else "Landlock, which this kernel does not offer"
needs_landlock = pytest.mark.skipif(bool(MISSING), reason=f"missing: {MISSING}")


HOLE = "/a-folder-of-the-person"


def with_hole(lab: Lab, script: str, hole: Path, *, second_layer: bool) -> subprocess.CompletedProcess[str]:
    """Run a script in the sandbox, in which a folder of the person is writable by mistake."""
    spec = replace(lab.spec, second_layer=second_layer)
    argv = lab.sandbox.wrap(["bash", "-c", script], spec, SandboxLevel.BUBBLEWRAP)
    at = argv.index("--remount-ro")
    argv[at:at] = ["--bind", str(hole), HOLE]
    return subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20, check=False)


@pytest.mark.boundary(
    layer="namespace",
    tried="writing, deleting, renaming and linking in a folder that a mount has left writable, and remounting",
    refused="Landlock refuses it as well, where the kernel has it; doctor says whether it does",
)
@needs_bwrap
@needs_landlock
def test_a_mount_that_is_writable_by_mistake_stays_closed(lab: Lab, tmp_path: Path) -> None:
    hole = tmp_path / "hole"
    hole.mkdir()
    (hole / "kept").write_text("kept")
    tries = (
        f"echo x > {HOLE}/new",
        f"echo x >> {HOLE}/kept",
        f": > {HOLE}/kept",
        f"rm {HOLE}/kept",
        f"mv {HOLE}/kept {HOLE}/other",
        f"mkdir {HOLE}/folder",
        f"ln -s / {HOLE}/link",
        f"mkfifo {HOLE}/pipe",
        f"unshare -Um mount -t tmpfs none {HOLE}",
        "unshare -Um mount --bind / /tmp",
    )
    for attempt in tries[:1]:
        assert with_hole(lab, attempt, hole, second_layer=False).returncode == 0, "the hole is there"
    (hole / "new").unlink()
    for attempt in tries:
        assert with_hole(lab, attempt, hole, second_layer=True).returncode != 0, attempt
    assert [path.name for path in hole.iterdir()] == ["kept"] and (hole / "kept").read_text() == "kept"


@needs_bwrap
@needs_landlock
def test_what_an_agent_needs_works_under_it(lab: Lab) -> None:
    script = """
set -e
mkdir -p a/b /tmp/c; echo 1 > a/x; mv a/x a/b/y; ln a/b/y a/z; ln -s z a/w; mkfifo a/p; rm -r a
echo 1 > /tmp/c/x; mv /tmp/c/x /tmp/y; echo x > /dev/null; echo x > /dev/shm/x
echo 0 > /proc/self/oom_score_adj || true
: > /dev/stdout; echo hello > /dev/stderr; sleep 60 & kill $!
python3 -c "import socket; s = socket.socket(socket.AF_UNIX); s.bind('/tmp/s'); s.listen()"
echo 'x = 2' > file.py; git add file.py; git commit -qm 'feat: inside'
git stash list; git status --porcelain
"""
    done = lab.run("bash", "-c", script)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


@needs_landlock
@pytest.mark.anyio
async def test_whether_it_works_is_found_by_trying() -> None:
    abi = landlock.find_abi()
    found = await try_landlock(abi)
    assert (found.works, found.words) == (True, f"also refuses writes (version {abi})")
    assert (await try_landlock(0)).words == "none: this kernel has no Landlock, or it is switched off"
    assert (await try_landlock(1)).words == "none: Landlock needs Linux 5.19 or later"


@pytest.mark.anyio
async def test_one_that_does_not_refuse_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aegis_tui.adapters.sandbox.second_layer._SCRIPT", str(Path(__file__).with_name("no_layer.py")))
    found = await try_landlock(7)
    assert not found.works and found.words == "none: it does not refuse a write (written)"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.parametrize("arguments", [["/tmp", "true"], ["/tmp", "--"], ["/tmp", "--", "/no/such/program"]])
def test_a_program_is_not_started_without_the_restriction(arguments: list[str]) -> None:
    script = landlock_argv([])[:-1]
    done = subprocess.run([*script, *arguments], capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == landlock.EXIT_NO_LANDLOCK
    assert "Landlock cannot be used" in done.stderr
    assert script[0] == sys.executable
