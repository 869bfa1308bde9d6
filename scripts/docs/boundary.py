"""Collects from the tests which attacks on the boundary were tried, and what refused each.

A test states this with `@pytest.mark.boundary(layer=..., tried=..., refused=...)`, or one of its parameters does with
`pytest.param(..., marks=...)`. pytest collects the marks in a separate process, so only tests that really run are
listed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
LAYERS = {
    "namespace": "The kernel: what is outside is absent or read-only in the sandbox.",
    "hooks": "git hooks of the worktree, and the tools of the agent: they refuse early, with the reason. Behind them are other "
    "layers.",
    "hub rights": "The hub: the token identifies the sender, and a table of rights says which commands it may send.",
    "hub files": "The files that the hub itself reads and writes in folders that an agent can write.",
    "integration": "The submitted pieces: compared with their partition and locks, read as commits, never as files.",
    "terminal": "The text that a person reads: text from agents, models and repositories cannot control the terminal.",
    "network": "The machines that the program itself contacts, apart from the model server that you configured.",
    "limits": "Amounts: bytes, numbers, processes, time.",
}
"""All layers that a test may name, in the order of the page."""

_PLUGIN = "scripts.docs.boundary"
_OUT = "AEGIS_BOUNDARY_OUT"
_DEADLINE_S = 60


class Row(NamedTuple):
    """One attempt, and what refused it."""

    layer: str
    tried: str
    refused: str
    test: str
    """The file of the test, relative to the repository."""


def tables() -> Iterator[str]:
    """Yield the lines of one table for each layer that a test names.

    Raises:
        SystemExit: A marker is wrong, or the tests cannot be collected.
    """
    rows = _collect()
    for layer, meaning in LAYERS.items():
        here = [row for row in rows if row.layer == layer]
        if here:
            yield from ("", f"#### {layer}", "", meaning, "", "| tried | what happened | test |", "| --- | --- | --- |")
            yield from (f"| {_cell(row.tried)} | {_cell(row.refused)} | `{row.test}` |" for row in here)


def _collect() -> list[Row]:
    """Return the rows of all tests, in the order of their files; duplicates are dropped."""
    marked = [path for path in sorted((ROOT / "tests").rglob("test_*.py")) if "mark.boundary" in path.read_text("utf-8")]
    argv = [sys.executable, "-m", "pytest", "--collect-only", "-qqq", "-p", "no:cacheprovider", "-p", _PLUGIN]
    with tempfile.TemporaryDirectory(prefix="aegis-docs-") as folder:
        out = Path(folder) / "rows.json"
        environment = {**os.environ, "PYTHONPATH": str(ROOT), _OUT: str(out)}
        done = subprocess.run(
            [*argv, *map(str, marked)],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=_DEADLINE_S,
            check=False,
        )
        if done.returncode:
            raise SystemExit(done.stdout + done.stderr)
        return [Row(*row) for row in json.loads(out.read_text("utf-8"))]


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Write the rows to a file; called by pytest in the collecting process."""
    rows: dict[Row, None] = {}
    for item in session.items:
        for mark in item.iter_markers("boundary"):
            rows[_row(mark, item)] = None
    Path(os.environ[_OUT]).write_text(json.dumps(list(rows)), "utf-8")


def _row(mark: pytest.Mark, item: pytest.Item) -> Row:
    try:
        return Row(**boundary_fields(mark), test=item.path.relative_to(ROOT).as_posix())
    except ValueError as error:
        raise pytest.UsageError(f"{item.nodeid}: {error}") from error


def boundary_fields(mark: pytest.Mark) -> dict[str, str]:
    """Return the fields of a mark.

    Raises:
        ValueError: A field is missing, unknown, empty or longer than one line, or there is no such layer.
    """
    fields = dict(mark.kwargs)
    named = not mark.args and set(fields) == {"layer", "tried", "refused"} and fields["layer"] in LAYERS
    if not named or not all(isinstance(text, str) and text and "\n" not in text for text in fields.values()):
        raise ValueError(f"boundary(layer=, tried=, refused=) in one line each; a layer of {', '.join(LAYERS)}")
    return fields
