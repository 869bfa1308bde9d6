"""A throw-away workspace whose commands begin with everything imported."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from typing_extensions import override

from aegis_tui.testing.scratch import CommandResult, ScratchWorkspace
from tests.forked import run_command

SHOP = {
    "README.md": "# Shop\n",
    "src/app.py": "x = 1\n",
    "tests/test_app.py": (
        "import unittest\n\n\nclass Works(unittest.TestCase):\n"
        "    def test_it(self) -> None:\n        self.assertTrue(True)\n"
    ),
}
"""The files of a small repository with a test that passes."""


class Served(ScratchWorkspace):
    """As the installed program serves it, but for the time that a start takes."""

    numbers: Mapping[str, float] = {}
    """Constants of the package that commands have another value of: `module:NAME` -> value."""

    @override
    def aegis(self, *arguments: str, timeout_s: float = 120.0, folder: Path | None = None) -> CommandResult:
        done = run_command(
            *arguments, folder=folder or self.root, environ=self.environ, timeout_s=timeout_s, numbers=self.numbers
        )
        return CommandResult(done.returncode, done.stdout, done.stderr)


@contextmanager
def clean_workspace(files: Mapping[str, str]) -> Iterator[Served]:
    """A workspace with these files committed; nothing of it may run or lie about when the context ends."""
    scratch = Served()
    scratch.init(files)
    yield scratch
    left = scratch.leftovers()
    scratch.close()
    assert left == [], left
