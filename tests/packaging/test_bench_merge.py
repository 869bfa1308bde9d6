"""The benchmark that merges histories again: what it counts, on a small history, and what it calls wrong."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from aegis_tui.domain.merge.proof import Versions
from scripts.bench.merge import reading_of, wrong

ROOT = Path(__file__).resolve().parents[2]
BASE = "import os\n\n\ndef first():\n    return os\n"


def git(folder: Path, *arguments: str) -> str:
    who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "commit.gpgSign=false"]
    argv = ["git", *who, "-C", str(folder), *arguments]
    return subprocess.run(argv, capture_output=True, text=True, check=False).stdout.strip()


def commit(folder: Path, text: str, name: str = "app.py") -> str:
    (folder / name).write_text(text)
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


def test_the_same_is_counted_for_files_of_another_language(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "-b", "main")
    start = "package app\n\nfunc First() int {\n\treturn 0\n}\n"
    mine, other = ("\nfunc Ours() int {\n\treturn 1\n}\n", "\nfunc Theirs() int {\n\treturn 2\n}\n")
    base = commit(tmp_path, start, "app.go")
    commit(tmp_path, start + mine, "app.go")
    git(tmp_path, "checkout", "-q", base)
    theirs = commit(tmp_path, start + other, "app.go")
    git(tmp_path, "checkout", "-q", "main")
    git(tmp_path, "merge", "-q", theirs)
    (tmp_path / "app.go").write_text(start + other + mine)
    git(tmp_path, "commit", "-qam", "merge")
    argv = [sys.executable, str(ROOT / "scripts" / "bench"), "merge", str(tmp_path)]
    said = subprocess.run([*argv, "--suffix", ".go"], capture_output=True, text=True, timeout=120, check=True).stdout
    assert "person kept both sides: 1, of these all versions parse: 1" in said
    assert "kept both, proven: 1 (100.0%): identical 0, holds the same 1, parses 1, loses nothing 1, wrong 0" in said
    python = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=True).stdout
    assert "0 files that git merges, 0 with conflicts" in python


@pytest.mark.parametrize(
    ("text", "human", "says"),
    [
        ("function b() {}\nfunction c() {}\n", "function c() {}\nfunction b() {}\n", ""),
        ("function b() {}\n", "function b() {}\nfunction c() {}\n", "lost: functionc(){}"),
        ("function b() {\n", "function b() {}\nfunction c() {}\n", "does not parse"),
        ("class A {\n  x() {}\n  x() {}\n}\nfunction b() {}\nfunction c() {}\n",
         "class A {\n  x() {}\n}\nfunction b() {}\nfunction c() {}\n", "twice: ('A', 'x')"),
    ],
)  # fmt: skip
def test_a_merge_in_another_language_is_judged_in_the_same_way(text: str, human: str, says: str) -> None:
    versions = Versions("function a() {}\n", "function b() {}\n", "function c() {}\n")
    assert wrong(versions, text, human, reading_of("app.js")) == says


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
