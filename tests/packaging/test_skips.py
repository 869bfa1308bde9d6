from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


def run_with_skip(root: Path, folder: Path, reason: str) -> subprocess.CompletedProcess[str]:
    (folder / "conftest.py").write_text((root / "tests" / "conftest.py").read_text("utf-8"), "utf-8")
    (folder / "test_it.py").write_text(
        f"import pytest\n\ndef test_a():\n    pytest.skip({reason!r})\n\ndef test_b():\n    pass\n", "utf-8"
    )
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", "/dev/null", "--rootdir", str(folder)]
    return subprocess.run(
        [*argv, str(folder)],
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        timeout=160,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def test_a_skip_that_names_a_missing_program_is_counted_and_allowed(root: Path, tmp_path: Path) -> None:
    done = run_with_skip(root, tmp_path, "missing: no-such-program-anywhere")
    assert done.returncode == 0, done.stdout
    assert "skipped: 1" in done.stdout
    assert "missing: no-such-program-anywhere" in done.stdout


@pytest.mark.parametrize(
    ("reason", "words"),
    [("missing: git", "which is here"), ("not today", "without naming what is missing")],
)
def test_a_skip_whose_tool_is_present_or_unnamed_fails_the_run(
    root: Path, tmp_path: Path, reason: str, words: str
) -> None:
    done = run_with_skip(root, tmp_path, reason)
    assert done.returncode == 1, done.stdout
    assert words in done.stdout
