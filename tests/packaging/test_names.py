from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path


def names(root: Path, folder: Path, files: dict[str, str], allowed: str = "") -> subprocess.CompletedProcess[str]:
    for name in ("aegis_tui/testing/sample", "scripts"):
        (folder / name).mkdir(parents=True)
    shutil.copy(root / "scripts" / "names.py", folder / "scripts")
    (folder / "scripts" / "names-allowed.txt").write_text(allowed, "utf-8")
    for name, text in files.items():
        (folder / name).write_text(text, "utf-8")
    argv = [sys.executable, str(folder / "scripts" / "names.py")]
    return subprocess.run(argv, capture_output=True, text=True, timeout=20, check=False)


def test_two_classes_of_one_name_are_named_with_both_places(root: Path, tmp_path: Path) -> None:
    files = {
        "aegis_tui/a.py": "class _Kept: ...\n",
        "aegis_tui/b.py": "def f():\n    class _Kept: ...\n",
        "aegis_tui/testing/sample/c.py": "class _Kept: ...\n",
        "scripts/d.py": "class _Kept: ...\n",
    }
    done = names(root, tmp_path, files)
    assert done.returncode == 1
    assert done.stderr == "_Kept is the name of 2 classes: aegis_tui/a.py:1, aegis_tui/b.py:2\n"


def test_a_name_that_says_nothing_is_refused_wherever_it_is_given(root: Path, tmp_path: Path) -> None:
    code = "def told(thing):\n    if found := thing:\n        thing.things = found\n    for _found in (): ...\n"
    done = names(root, tmp_path, {"aegis_tui/a.py": code, "scripts/b.py": "match 1:\n    case found: ...\n"})
    assert done.returncode == 1
    assert [line.partition(" does ")[0] for line in done.stderr.splitlines()] == [
        "aegis_tui/a.py:1: thing",
        "aegis_tui/a.py:1: told",
        "aegis_tui/a.py:2: found",
        "aegis_tui/a.py:3: things",
        "aegis_tui/a.py:4: _found",
        "scripts/b.py:2: found",
    ]


def test_a_field_is_a_name_of_a_contract_and_may_stay(root: Path, tmp_path: Path) -> None:
    code = "class Check:\n    found: str\n\n\nCheck(found='x')\n"
    assert names(root, tmp_path, {"aegis_tui/a.py": code}).returncode == 0


def test_an_exception_needs_a_reason_and_a_use(root: Path, tmp_path: Path) -> None:
    files = {"aegis_tui/a.py": "told = 1\n"}
    assert names(root, tmp_path / "one", files, "aegis_tui/a.py:told it is public\n").returncode == 0
    assert "gives no reason" in names(root, tmp_path / "two", files, "aegis_tui/a.py:told\n").stderr
    done = names(root, tmp_path / "three", {}, "aegis_tui/a.py:told it is public\n")
    assert (done.returncode, done.stderr) == (
        1,
        "aegis_tui/a.py:told: needs no exception in scripts/names-allowed.txt\n",
    )
