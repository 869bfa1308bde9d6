"""A copy of the tree in which code may be broken, and the tests run on it."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
_COPIED = ("aegis_tui", "tests", "layouts", "themes", "scripts", "pyproject.toml")
_LEFT_OUT = shutil.ignore_patterns("__pycache__", ".hypothesis", ".pytest_cache")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the tests said of a mutant.

    Attributes:
        killed: A test failed, or they did not end in time.
        how: The failed test, or what else happened.
        spent_s: How long it took.
    """

    killed: bool
    how: str
    spent_s: float


class Tree:
    """One copy; one mutant at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextlib.contextmanager
    def broken(self, file: str, text: str) -> Iterator[None]:
        """Replace one file's text for a while."""
        path = self.folder / file
        whole = path.read_text("utf-8")
        path.write_text(text, "utf-8")
        try:
            yield
        finally:
            path.write_text(whole, "utf-8")

    def test(self, tests: Sequence[str], *, deadline_s: float) -> Verdict:
        """Run these tests, in this order, until one fails."""
        argv = [sys.executable, "-m", "pytest", "-x", "-q", "--no-header", "--tb=no", "-p", "no:cacheprovider"]
        argv += ["--hypothesis-seed=0", *tests]
        env = {**os.environ, "PYTHONPATH": str(self.folder), "PYTHONDONTWRITEBYTECODE": "1"}
        start = time.monotonic()
        process = subprocess.Popen(
            argv,
            cwd=self.folder,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            said, _ = process.communicate(timeout=deadline_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            return Verdict(True, "no end in time", time.monotonic() - start)
        return Verdict(process.returncode == 1, _how(process.returncode, said), time.monotonic() - start)


def _how(code: int, said: str) -> str:
    if code == 1:
        named = [line.split(" - ")[0] for line in said.splitlines() if line.startswith(("FAILED ", "ERROR "))]
        return named[0] if named else "failed"
    return "all passed" if code == 0 else f"pytest ended with {code}: {said[-300:]}"


@contextlib.contextmanager
def tree_copy() -> Iterator[Tree]:
    """A fresh copy in a temporary folder, with the lowest claim on the machine; removed at the end."""
    os.nice(10)
    folder = Path(tempfile.mkdtemp(prefix="mutants-"))
    try:
        for name in _COPIED:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, folder / name, ignore=_LEFT_OUT)
            else:
                shutil.copy2(source, folder / name)
        yield Tree(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
