"""Words about a run that has ended without its whole result: nothing still works or waits (FLOW-9, FLOW-10)."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from pathlib import Path
from typing import cast

import pytest

from aegis_tui.adapters.store.sqlite_log import SqliteEventLog
from aegis_tui.cli import main
from aegis_tui.cli.merge import status_word
from aegis_tui.domain.wire.run import RunView
from aegis_tui.sdk.discovery import create_with_room, workspace_key_of, workspace_paths
from aegis_tui.tui.recorded import load_events

LOG = Path(__file__).parents[1] / "tui" / "data" / "default.jsonl"
FINDING = {"key": "k1", "piece": "search", "rule": "binary", "file": "a.bin", "line": None, "msg": "a binary file"}


@pytest.fixture
def incomplete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A workspace whose run has a commit, though it did not end well."""
    root = tmp_path / "repo"
    subprocess.run(["git", "init", "-q", "-b", "main", str(root)], check=True, timeout=20)
    (tmp_path / "run").mkdir()
    for name, folder in (("XDG_STATE_HOME", "state"), ("XDG_RUNTIME_DIR", "run"), ("XDG_CONFIG_HOME", "config")):
        monkeypatch.setenv(name, str(tmp_path / folder))
    monkeypatch.chdir(root)
    events = [json.loads(line) for line in LOG.read_text().splitlines()]
    for event in events:
        if event["type"] in ("run:ending", "run:finished"):
            event["data"]["ok"] = False
    source = tmp_path / "incomplete.jsonl"
    source.write_text("".join(json.dumps(event) + "\n" for event in events))
    paths = workspace_paths(workspace_key_of(root), os.environ)

    async def write() -> None:
        log = SqliteEventLog(paths.log_db)
        await log.open()
        await log.append(load_events(source), [])
        await log.close()

    create_with_room(paths)
    asyncio.run(write())


def test_workspaces_says_incomplete_of_a_run_with_a_part_of_its_result(
    incomplete: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.run(["workspaces"]) == 0
    assert "run1 incomplete" in capsys.readouterr().out
    assert main.run(["workspaces", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["workspaces"][0]["run_state"] == "failed"


@pytest.mark.parametrize(("stage", "words"), [("active", "waits"), ("failed", "not answered")])
def test_a_finding_waits_only_while_its_run_is_open(
    stage: str, words: str, incomplete: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = {"scanners": [], "findings": [{**FINDING, "outcome": "waits"}]}
    report = {"rules": rules, "stages": [{"state": "passed"}, {"state": stage}]}
    monkeypatch.setattr("aegis_tui.cli.rule.compute_report", lambda place, run: report)
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
