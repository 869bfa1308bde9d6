"""Every command has its rule and rights, every event its fold, words and name: a gap fails here, by name.

Where a union is split by `match`, `assert_never` has mypy say the same.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.domain.totality import CHECKS

ROOT = Path(__file__).resolve().parents[2]
TELL = "from tests.domain.totality import gaps; print(*gaps(), sep='\\n')"


@pytest.mark.parametrize("table", CHECKS)
def test_nothing_lacks_its_place(table: str) -> None:
    assert CHECKS[table]() == [], table


def gaps_after(folder: Path, *edits: tuple[str, str, str]) -> list[str]:
    """What the checks find in a copy of the package; each edit is a file, a text in it, and what takes its place."""
    copy = folder / "aegis_tui"
    shutil.copytree(ROOT / "aegis_tui", copy, ignore=shutil.ignore_patterns("sample", "tui"))
    for file, old, new in edits:
        text = (copy / file).read_text("utf-8")
        assert text.count(old) == 1
        (copy / file).write_text(text.replace(old, new), "utf-8")
    done = subprocess.run(
        [sys.executable, "-c", TELL],
        env={**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}"},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


STOLEN = '''class LockStolen(EventData):
    """A lock was stolen."""

    type: Literal["lock:stolen"] = "lock:stolen"


LockEvent = (
    LockStolen
    | LockAcquired
'''


def test_an_event_that_is_added_to_its_union_alone_is_named(tmp_path: Path) -> None:
    found = gaps_after(tmp_path, ("domain/lock/events.py", "LockEvent = (\n    LockAcquired\n", STOLEN))
    assert found == [
        "folds of events of a lock: LockStolen",
        "words of events: LockStolen",
    ]


def test_a_command_without_a_rule_is_named(tmp_path: Path) -> None:
    found = gaps_after(tmp_path, ("domain/run/rules.py", "        RunHalt: halt,\n", ""))
    assert found == ["rules of commands: RunHalt"]


def test_an_event_in_no_union_and_a_command_without_rights_are_named(tmp_path: Path) -> None:
    ungiven = ("domain/rights.py", '        "run:halt": _PERSON,\n', "")
    found = gaps_after(tmp_path, ("domain/lock/events.py", "    | LockDenied\n", ""), ungiven)
    assert "events that are defined and in no union: LockDenied" in found
    assert "rights to commands: run:halt" in found
