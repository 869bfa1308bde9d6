"""A normal test that takes too long fails, and the message says what to do (tests/conftest.py)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import LONGEST_CALL_S, longest_call_s

SLEEPS = "import time\nimport pytest\n\n{mark}\ndef test_a():\n    time.sleep(0.3)\n"


@pytest.mark.parametrize(
    ("load", "cores", "times"), [(0.0, 2, 1.0), (2.0, 2, 1.0), (4.0, 2, 2.0), (6.0, 2, 3.0), (6.0, 16, 1.0)]
)
def test_the_limit_grows_with_the_load_for_each_core(load: float, cores: int, times: float) -> None:
    assert longest_call_s(load, cores) == LONGEST_CALL_S * times


@pytest.mark.parametrize(("mark", "code"), [("", 1), ("@pytest.mark.soak", 0)])
def test_a_normal_test_that_takes_too_long_fails(root: Path, tmp_path: Path, mark: str, code: int) -> None:
    conftest = (root / "tests" / "conftest.py").read_text("utf-8")
    short = conftest.replace(f"LONGEST_CALL_S = {LONGEST_CALL_S}", "LONGEST_CALL_S = 0.001")
    assert short != conftest
    (tmp_path / "conftest.py").write_text(short, "utf-8")
    (tmp_path / "test_it.py").write_text(SLEEPS.format(mark=mark), "utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers =\n    soak: long\n", "utf-8")
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "-c",
            str(tmp_path / "pytest.ini"),
            str(tmp_path),
        ],
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert ("the test passed, but took" in done.stdout) == bool(code)
