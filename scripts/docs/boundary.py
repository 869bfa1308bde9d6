"""Collects what was tried on the boundary and what refused it, from the tests that say so.

A test says it with `@pytest.mark.boundary(layer=..., tried=..., refused=...)`, or one of its parameters does, with
`pytest.param(..., marks=...)`. pytest collects them in a process of its own: only a test that really runs is named.
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
    "hooks": "git hooks of the worktree: they refuse early and say why. Where they are skipped, another layer holds.",
    "hub rights": "The hub: a token says who asks, and a table of rights says what it may ask.",
    "hub files": "What the hub itself reads and writes in folders that an agent can write.",
    "integration": "What is submitted: compared with its partition and its locks, read as commits, never as files.",
    "terminal": "What a person reads: text of agents, models and repositories is only shown.",
    "network": "What the program itself contacts, besides the model server that you named.",
    "limits": "How much: bytes, numbers, processes, time.",
}
"""Every layer that a test may name, in the order of the page."""

_PLUGIN = "scripts.docs.boundary"
_OUT = "AEGIS_BOUNDARY_OUT"
_DEADLINE_S = 60


class Row(NamedTuple):
    """One attempt and its answer."""

    layer: str
    tried: str
    refused: str
    test: str
    """The file of the test, relative to the repository."""


def tables() -> Iterator[str]:
    """The lines of one table for each layer that a test names.

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
    """What the tests of this repository say, in the order of their files; the same twice counts once."""
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
    """As a plugin of the process that collects: write the rows down."""
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
    """What a mark says.

    Raises:
        ValueError: A field is missing, unknown, empty or of two lines, or there is no such layer.
    """
    fields = dict(mark.kwargs)
    named = not mark.args and set(fields) == {"layer", "tried", "refused"} and fields["layer"] in LAYERS
    if not named or not all(isinstance(text, str) and text and "\n" not in text for text in fields.values()):
        raise ValueError(f"boundary(layer=, tried=, refused=) in one line each; a layer of {', '.join(LAYERS)}")
    return fields
