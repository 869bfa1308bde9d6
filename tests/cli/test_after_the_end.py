"""Words about a run that has ended without its whole result: nothing still works or waits (FLOW-9, FLOW-10)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import cast

import pytest

from aegis_tui.cli import main
from aegis_tui.cli.merge import status_word
from aegis_tui.domain.wire.run import RunView
from aegis_tui.sdk.discovery import WorkspacePaths
from tests.cli.logged import empty_repository, recorded, until_failed, write_log

FINDING = {"rule": "binary", "key": "k1", "file": "a.bin", "msg": "a binary file", "severity": "person"}


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WorkspacePaths:
    return empty_repository(tmp_path, monkeypatch)


def test_workspaces_says_incomplete_of_a_run_with_a_part_of_its_result(
    paths: WorkspacePaths, capsys: pytest.CaptureFixture[str]
) -> None:
    events = recorded()
    for event in events:
        if event["type"] in ("run:ending", "run:finished"):
            event["data"]["ok"] = False
    write_log(paths, events)
    assert main.run(["workspaces"]) == 0
    assert "run1 incomplete" in capsys.readouterr().out
    assert main.run(["workspaces", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["workspaces"][0]["run_state"] == "failed"


@pytest.mark.parametrize(("ended", "words"), [(False, "waits"), (True, "not answered")])
def test_a_finding_waits_only_while_its_run_is_open(
    ended: bool, words: str, paths: WorkspacePaths, capsys: pytest.CaptureFixture[str]
) -> None:
    held = ("piece:held", {"run": "run1", "piece": "search", "head_oid": "0" * 40, "broken": [FINDING]})
    write_log(paths, until_failed(recorded(), held, ended=ended))
    assert main.run(["rules", "findings"]) == 0
    assert f"k1  {words}  search" in capsys.readouterr().out


def test_no_piece_is_worked_on_after_the_end_of_its_run() -> None:
    is_open, failed = cast(RunView, {"ok": None}), cast(RunView, {"ok": False})
    assert [status_word(is_open, status) for status in ("working", "reviewing", "applied")] == [
        "working",
        "in review",
        "merged",
    ]
    assert [status_word(failed, status) for status in ("working", "accepted", "applied")] == [
        "not merged",
        "not merged",
        "merged",
    ]
