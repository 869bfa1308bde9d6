"""`aegis-tui map` as a person or a script runs it."""

from __future__ import annotations

import json
import sqlite3
import subprocess
from pathlib import Path
from typing import Any

import pytest

from aegis_tui.cli import main

CODE = "def pay(sum):\n    'Pay a sum.'\n    return check(sum)\n\ndef check(sum):\n    return sum > 0\n"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "repo"
    subprocess.run(["git", "init", "-q", "-b", "main", str(folder)], check=True, timeout=20)
    (folder / "bank.py").write_text(CODE)
    for name in ("state", "run", "config"):
        (tmp_path / name).mkdir()
    for name, part in (("XDG_STATE_HOME", "state"), ("XDG_RUNTIME_DIR", "run"), ("XDG_CONFIG_HOME", "config")):
        monkeypatch.setenv(name, str(tmp_path / part))
    monkeypatch.chdir(folder)
    return folder


def asked(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    assert main.run(["map", *words, "--json"]) == 0
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    return answer


def printed(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main.run(["map", *words]) == 0
    return capsys.readouterr().out


def test_every_question_is_answered_as_text_and_as_json(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words, text in (
        (["build"], "1 file, 1 of them read now"),
        (["status", "--check"], "symbols, relations and search data fit together"),
        (["find", "pay"], "bank.py:1  function  pay  Pay a sum."),
        (["show", "bank.py", "--as", "outline"], "1: def pay(sum)\n5: def check(sum)"),
        (["show"], "bank.py  6 lines"),
        (["show", "bank.py:pay", "--as", "body"], "return check(sum)\n-> bank.py:check"),
        (["callers", "check"], "bank.py:3  pay  check"),
        (["callees", "pay"], "bank.py:5  function  check"),
        (["tests", "pay"], "no calls to bank.py:pay were found"),
        (["search", "paying sums"], "bank.py:1  function  pay"),
        (["impact", "bank.py"], "nothing depends on it"),
    ):
        assert text in printed(capsys, *words)
        answer = asked(capsys, *words)
        assert answer["ok"] and {"seq", "tree", "changed", "stale"} <= set(answer)


def test_what_is_not_there_is_wrong_usage(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["callers", "nothing"], ["show", "nothing.py"], ["show", "bank.py", "--as", "poem"]):
        assert main.run(["map", *words]) == 2
    assert asked(capsys, "find", "nothing")["symbols"] == []


def test_a_map_that_is_damaged_is_built_anew_and_says_so(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    printed(capsys, "build")
    (file,) = (tmp_path / "state").rglob("map.db")
    with sqlite3.connect(file) as other:
        other.execute("UPDATE blob SET relations = '['")
    other.close()
    answer = asked(capsys, "callers", "check")
    assert "damaged" in answer["rebuilt"] and len(answer["sites"]) == 1
    file.write_bytes(b"x" * 5000)
    assert main.run(["map", "find", "pay"]) == 0
    out = capsys.readouterr()
    assert "the code map was rebuilt: it was damaged" in out.err and "bank.py:1" in out.out
    assert asked(capsys, "build", "--anew")["derived"] == 1


def test_partitions_are_suggested_as_text_and_as_json(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("web/page.py", "web/form.py", "store/table.py", "store/row.py", "notes.md"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text("import page\n" if name == "web/form.py" else CODE)
    assert main.run(["partition", "suggest", "--parts", "2"]) == 0
    out = capsys.readouterr().out
    assert "store: 3 files, " in out and "imports: 1 inside, 0 to or from other parts" in out
    assert "joint  notes.md  1 file  documents" in out
    assert main.run(["partition", "suggest", "--parts", "2", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["imports"], answer["cut"], len(answer["parts"])) == (1, 0, 2)
    assert {glob for part in answer["parts"] for glob in part["globs"]} >= {"web/**", "bank.py"}
    assert main.run(["partition", "suggest", "--parts", "0"]) == 2
