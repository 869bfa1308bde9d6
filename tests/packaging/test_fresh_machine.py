from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

MAKES_NAMESPACES = ["bwrap", "--ro-bind", "/", "/", "--unshare-all", "true"]

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="missing: linux")


@pytest.mark.skipif(shutil.which("bwrap") is None, reason="missing: bwrap")
@pytest.mark.skipif(shutil.which("apt-get") is None, reason="missing: apt-get")
def test_where_nothing_can_be_installed_ci_ends_with_5_and_the_exact_command(root: Path) -> None:
    if subprocess.run(MAKES_NAMESPACES, capture_output=True, timeout=20, check=False).returncode != 0:
        pytest.skip("missing: namespaces, which this kernel or container refuses")
    done = subprocess.run(
        [str(root / "scripts" / "fresh-machine")],
        capture_output=True,
        text=True,
        timeout=160,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 5, done.stderr
    last = done.stderr.splitlines()[-1].strip()
    assert "missing: tmux bubblewrap" in done.stderr
    assert "apt-get update && apt-get install -y --no-install-recommends tmux bubblewrap" in last


@pytest.mark.parametrize(
    ("have", "want", "suits"),
    [
        ("git version 2.39.5", "2.38", 0),
        ("git version 2.38.0", "2.38", 0),
        ("git version 2.37.9", "2.38", 1),
        ("git version 3.0", "2.38", 0),
        ("git version 2.39.5 (Apple Git-154)", "2.38", 0),
        ("tmux 3.2a", "3.2", 0),
        ("tmux next-3.6", "3.2", 0),
        ("tmux 3.1c", "3.2", 1),
        ("", "3.2", 1),
    ],
)
def test_versions_are_compared_as_numbers(root: Path, have: str, want: str, suits: int) -> None:
    script = 'ROOT=$1; . "$1/scripts/lib.sh"; version_at_least "$2" "$3"'
    done = subprocess.run(["bash", "-c", script, "-", str(root), have, want], timeout=20, check=False)
    assert done.returncode == suits


def test_an_unknown_option_is_wrong_usage(root: Path) -> None:
    done = subprocess.run(
        [str(root / "scripts" / "test"), "--wrong"], capture_output=True, text=True, timeout=20, check=False
    )
    assert done.returncode == 2
    assert "--fast" in done.stderr
