import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aegis_tui.testing.sample_repository import git_in_sample
from tests.e2e.remains import end_all, running

pytestmark = pytest.mark.timeout(400)
DEADLINE_S = 360.0
"""A guard against waiting for ever, and no claim on how long a demo takes."""


@pytest.fixture
def temp() -> Iterator[Path]:
    """A short folder for temporary files, since socket paths below it are limited."""
    folder = Path(tempfile.mkdtemp(prefix="ae-demo-", dir="/tmp")).resolve()
    yield folder
    end_all(folder)
    shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def started(temp: Path, *arguments: str, **variables: str) -> Iterator[subprocess.Popen[str]]:
    """A demo that runs; one that has not ended by itself is told to clean up, and killed if it does not."""
    home = temp / "home"
    home.mkdir(exist_ok=True)
    environment = {**os.environ, "TMPDIR": str(temp), "HOME": str(home), "TMUX_TMPDIR": str(home), **variables}
    for name in ("XDG_STATE_HOME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME"):
        environment.pop(name, None)
    with subprocess.Popen(
        [sys.executable, "-m", "aegis_tui", "demo", *arguments],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.communicate(timeout=20)
                process.kill()


def demo(temp: Path, *arguments: str, **variables: str) -> tuple[int, dict[str, Any], str]:
    with started(temp, "--headless", "--json", *arguments, **variables) as process:
        out, err = process.communicate(timeout=DEADLINE_S)
    return process.returncode, json.loads(out), err


def leftovers(temp: Path) -> list[str]:
    """Files and processes that a demo with this folder for temporary files has left."""
    files = [str(path) for path in temp.iterdir() if path.name != "home"]
    home = [str(path) for path in (temp / "home").rglob("*") if not path.is_dir()]
    processes = [" ".join(process.info["cmdline"][:4]) for process in running(temp)]
    return files + home + processes


def test_the_demo_shows_all_that_it_promises_and_leaves_one_commit(temp: Path) -> None:
    kept = temp / "home" / "shop"
    code, report, _ = demo(temp, "--pace", "0", "--keep", str(kept))
    claims = {claim["name"]: (claim["ok"], claim["found"]) for claim in report["demo"]["claims"]}
    assert all(ok for ok, _ in claims.values()), claims
    assert (code, report["ok"], report["scripted"]) == (0, True, True)
    assert report["duration_s"] > 0
    assert [stage["name"] for stage in report["stages"] if stage["state"] == "passed"] == [
        *("DESIGN", "FOUNDATION", "DISPATCH", "MONITORING", "INTEGRATE", "FINAL-QA", "DONE")
    ]
    assert report["locks"]["waited"] >= 1
    ends = {(item["kind"], item["resolution"]) for item in report["conflicts"]}
    assert ("hot", "rebased") in ends and ends <= {("hot", "rebased"), ("hot", "merged"), ("soft", "merged")}
    assert [check["ok"] for check in report["qa"]] == [True]
    oid, *parents = git_in_sample(kept, "rev-list", "--parents", "--max-count=1", "HEAD").split()
    assert (oid, len(parents)) == (report["commit"]["oid"], 1)
    assert git_in_sample(kept, "rev-parse", "main").split() == parents
    assert git_in_sample(kept, "symbolic-ref", "HEAD").strip() == f"refs/heads/{report['commit']['branch']}"
    assert git_in_sample(kept, "status", "--porcelain") == ""
    shutil.rmtree(kept)
    assert leftovers(temp) == []


def test_the_partial_scenario_leaves_a_bad_piece_out_of_one_commit(temp: Path) -> None:
    kept = temp / "home" / "shop"
    code, report, _ = demo(temp, "--scenario", "partial", "--pace", "0", "--keep", str(kept))
    claims = {claim["name"]: (claim["ok"], claim["found"]) for claim in report["demo"]["claims"]}
    assert all(ok for ok, _ in claims.values()), claims
    assert (code, claims["left-out pieces whose work is kept"]) == (0, (True, "receipt"))
    (left,) = report["left_out"]
    assert "test_a_receipt_ends_with_what_was_paid" in left["reason"]
    assert "Looked at once more." in git_in_sample(kept, "show", f"{left['ref']}:src/shop/receipt.py")
    assert "src/shop/receipt.py" not in git_in_sample(kept, "ls-tree", "-r", "--name-only", "HEAD").split()
    shutil.rmtree(kept)
    assert leftovers(temp) == []


def test_a_demo_that_is_interrupted_cleans_up(temp: Path) -> None:
    """By SIGHUP here; tests/cli/test_demo.py shows that SIGTERM and SIGINT do the same."""
    with started(temp, "--headless") as process:
        assert process.stderr is not None
        for line in process.stderr:
            if " commander for " in line:
                process.send_signal(signal.SIGHUP)
                break
        rest, err = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 130, rest + err
    assert leftovers(temp) == []


def test_a_demo_that_is_killed_takes_its_hub_and_agents_with_it(temp: Path) -> None:
    with started(temp, "--headless") as process:
        assert process.stderr is not None
        next(line for line in process.stderr if " commander for " in line)
        process.kill()
        process.wait()
        end = time.monotonic() + DEADLINE_S
        while left := running(temp):
            assert time.monotonic() < end, [item.info["cmdline"] for item in left]
            time.sleep(0.2)
    (folder,) = (path for path in temp.iterdir() if path.name != "home")
    assert folder.name.startswith("aegis-demo-"), "`worktree repair` knows it by its name"


def test_a_folder_that_is_not_empty_is_not_touched(temp: Path) -> None:
    kept = temp / "kept"
    kept.mkdir()
    (kept / "mine").write_text("mine")
    code, report, _ = demo(temp, "--keep", str(kept))
    assert (code, report["error"]["code"]) == (2, "usage")
    assert [path.name for path in kept.iterdir()] == ["mine"]


def test_a_scenario_that_is_not_there_is_a_wrong_usage(temp: Path) -> None:
    code, report, _ = demo(temp, "--scenario", "opera")
    assert code == 2
    assert "default" in report["error"]["hint"]


def test_without_tmux_the_demo_says_how_to_get_it(temp: Path) -> None:
    programs = temp / "home" / "bin"
    programs.mkdir(parents=True)
    (programs / "git").symlink_to(shutil.which("git") or "git")
    code, report, _ = demo(temp, PATH=str(programs))
    assert (code, report["error"]["message"]) == (5, "tmux is not installed")
    assert "install" in report["error"]["hint"]
