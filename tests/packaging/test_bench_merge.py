"""The benchmark that merges histories again: what it counts, on a small history, and what it calls wrong."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from aegis_tui.domain.merge.proof import Versions
from scripts.bench.merge import wrong

ROOT = Path(__file__).resolve().parents[2]
BASE = "import os\n\n\ndef first():\n    return os\n"


def git(folder: Path, *arguments: str) -> str:
    who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "commit.gpgSign=false"]
    argv = ["git", *who, "-C", str(folder), *arguments]
    return subprocess.run(argv, capture_output=True, text=True, check=False).stdout.strip()


def commit(folder: Path, text: str) -> str:
    (folder / "app.py").write_text(text)
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "change")
    return git(folder, "rev-parse", "HEAD")


def test_a_history_with_one_conflict_that_a_person_solved_is_counted(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "-b", "main")
    base = commit(tmp_path, BASE)
    ours = commit(tmp_path, BASE + "\n\ndef ours():\n    return 1\n")
    git(tmp_path, "checkout", "-q", base)
    theirs = commit(tmp_path, BASE + "\n\ndef theirs():\n    return 2\n")
    git(tmp_path, "checkout", "-q", "main")
    git(tmp_path, "merge", "-q", theirs)
    (tmp_path / "app.py").write_text(BASE + "\n\ndef ours():\n    return 1\n\n\ndef theirs():\n    return 2\n")
    git(tmp_path, "commit", "-qam", "merge")
    assert git(tmp_path, "rev-list", "--parents", "-1", "HEAD").split()[1:] == [ours, theirs]
    argv = [sys.executable, str(ROOT / "scripts" / "bench"), "merge", str(tmp_path)]
    said = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=True).stdout
    assert "0 files that git merges, 1 with conflicts" in said
    assert "kept both, proven: 1 (100.0%): identical 1, holds the same 1, parses 1, loses nothing 1, wrong 0" in said


@pytest.mark.parametrize(
    ("text", "human", "says"),
    [
        ("a = 1\nb = 2\nc = 3\n", "c = 3\na = 1\nb = 2\n", ""),
        ("a = 1\nb = 2\n", "a = 1\nb = 2\nc = 3\n", "lost: c=3"),
        ("a = 1\nb = 2\nc = 3\nd = 4\n", "a = 1\nb = 2\nc = 3\n", "kept: d=4"),
        ("a = = 1\n", "a = 1\nb = 2\nc = 3\n", "does not parse"),
    ],
)
def test_a_merge_is_wrong_by_what_the_person_kept_and_left_out(text: str, human: str, says: str) -> None:
    versions = Versions("a = 1\nd = 4\n", "a = 1\nb = 2\nd = 4\n", "a = 1\nc = 3\n")
    assert wrong(versions, text, human) == says
