"""`runs`, `report`, `qa`, `status` and `transcript` where no hub runs."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aegis_tui.adapters.store.sqlite_log import SqliteEventLog
from aegis_tui.cli import main
from aegis_tui.cli.place import here
from aegis_tui.sdk.discovery import WorkspacePaths, create_with_room, workspace_key_of, workspace_paths
from aegis_tui.tui.recorded import load_events

LOG = Path(__file__).parents[1] / "tui" / "data" / "default.jsonl"


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WorkspacePaths]:
    root = tmp_path / "repo"
    subprocess.run(["git", "init", "-q", "-b", "main", str(root)], check=True, timeout=20)
    (tmp_path / "run").mkdir()
    for name, folder in (("XDG_STATE_HOME", "state"), ("XDG_RUNTIME_DIR", "run"), ("XDG_CONFIG_HOME", "config")):
        monkeypatch.setenv(name, str(tmp_path / folder))
    monkeypatch.chdir(root)
    yield workspace_paths(workspace_key_of(root), os.environ)


@pytest.fixture
def ended(paths: WorkspacePaths) -> WorkspacePaths:
    """A workspace whose hub has ended after one run."""

    async def write() -> None:
        log = SqliteEventLog(paths.log_db)
        await log.open()
        await log.append(load_events(LOG), [])
        await log.close()

    create_with_room(paths)
    asyncio.run(write())
    return paths


def told(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    assert main.run([*words, "--json"]) == 0
    loaded: dict[str, Any] = json.loads(capsys.readouterr().out)
    return loaded


def test_past_runs_are_listed_without_a_hub(ended: WorkspacePaths, capsys: pytest.CaptureFixture[str]) -> None:
    (run,) = told(capsys, "runs")["runs"]
    assert (run["run"], run["state"]) == ("run1", "done")
    assert main.run(["runs"]) == 0
    line = capsys.readouterr().out
    assert "run1" in line and "done" in line and "aegis/run1/result" in line


def test_qa_and_status_come_from_the_log(ended: WorkspacePaths, capsys: pytest.CaptureFixture[str]) -> None:
    state = told(capsys, "status")
    assert (state["run"], state["stage"], state["hub"]) == ("run1", "DONE", False)
    assert main.run(["status"]) == 0
    assert "no hub runs" in capsys.readouterr().err


def test_where_nothing_was_ever_logged_that_is_said(paths: WorkspacePaths, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["runs"]) == 2
    assert main.run(["status"]) == 5
    assert capsys.readouterr().err.count("aegis-tui run GOAL") == 2


def test_the_transcript_of_an_ended_instance_is_read(ended: WorkspacePaths, capsys: pytest.CaptureFixture[str]) -> None:
    logs = ended.state_dir / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    (logs / "w01.log").write_text("● Reading src/x.py\n  \x1b[31mred\n", "utf-8")
    found = told(capsys, "transcript", "NATIVE-w01")
    assert (found["id"], found["ended"], found["lines"][0]) == ("w01", True, "● Reading src/x.py")
    assert main.run(["transcript", "w01"]) == 0
    assert "\x1b" not in capsys.readouterr().out


@pytest.mark.parametrize("name", ["../../etc/passwd", "w99", "NATIVE-../x", ""])
def test_a_name_that_is_none_finds_nothing(
    ended: WorkspacePaths, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    assert main.run(["transcript", name]) == 2
    assert here().paths.key == ended.key
