from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.thorough

SETTINGS = """[pytest]
addopts = --strict-markers -m "not thorough and not soak"
markers =
    thorough: long
    soak: longer
"""
TESTS = """import pytest

@pytest.mark.thorough
def test_long():
    pass

@pytest.mark.soak
def test_longer():
    pass

def test_short():
    pass
"""


WORKER = ("-p", "xdist", "-n", "1")


@pytest.mark.parametrize(
    ("workers", "named", "passed"),
    [(WORKER, "part", 1), (WORKER, "part/test_it.py", 2), ((), "part/test_it.py::test_long", 1), ((), "", 1)],
    ids=["a folder", "a file", "a test in one process", "nothing in one process"],
)
def test_a_file_that_is_named_runs_with_its_thorough_tests(
    root: Path, tmp_path: Path, workers: tuple[str, ...], named: str, passed: int
) -> None:
    (tmp_path / "part").mkdir()
    (tmp_path / "conftest.py").write_text((root / "tests" / "conftest.py").read_text("utf-8"), "utf-8")
    (tmp_path / "pytest.ini").write_text(SETTINGS, "utf-8")
    (tmp_path / "part" / "test_it.py").write_text(TESTS, "utf-8")
    program = f"import os, sys, pytest; os.chdir({str(tmp_path)!r}); sys.exit(pytest.main(sys.argv[1:]))"
    argv = [sys.executable, "-c", program, "-q", "-p", "no:cacheprovider", *workers, *([named] if named else [])]
    done = subprocess.run(
        argv, cwd=root, capture_output=True, text=True, timeout=120, check=False, stdin=subprocess.DEVNULL
    )
    assert f"{passed} passed" in done.stdout, done.stdout + done.stderr
