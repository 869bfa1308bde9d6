"""`runs`, `report`, `events`, `qa`, `status` and `transcript` where no hub is running."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from aegis_tui.adapters.store.sqlite_log import SqliteEventLog
from aegis_tui.cli import main
from aegis_tui.cli.place import here
from aegis_tui.cli.qa import qa_lines
from aegis_tui.domain.qa.check import CheckResult
from aegis_tui.domain.qa.verdict import compare
from aegis_tui.domain.run.report_model import QaReport
from aegis_tui.orchestrator.qa_outputs import Kept, QaOutputs
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


def write_log(paths: WorkspacePaths, source: Path) -> None:
    async def write() -> None:
        log = SqliteEventLog(paths.log_db)
        await log.open()
        await log.append(load_events(source), [])
        await log.close()

    create_with_room(paths)
    asyncio.run(write())


@pytest.fixture
def ended(paths: WorkspacePaths) -> WorkspacePaths:
    """A workspace whose hub has ended after one run."""
    write_log(paths, LOG)
    return paths


@pytest.fixture
def failed(paths: WorkspacePaths, tmp_path: Path) -> WorkspacePaths:
    """A workspace whose hub has ended after a run that failed while its workers worked."""
    events = [json.loads(line) for line in LOG.read_text().splitlines()]
    at = next(place for place, event in enumerate(events) if event["data"].get("stage") == "MONITORING") + 1
    error = {"code": "worker.failed", "message": "f1 failed 3 times", "hint": ""}
    for kind, more in (("run:ending", {"error": error}), ("run:finished", {"report": {"ok": False, "error": error}})):
        last = events[at - 1]
        data = {"run": "run1", "ok": False, **more}
        events[at:] = [{**last, "seq": last["seq"] + 1, "type": kind, "agent_id": "hub", "data": data}]
        at += 1
    source = tmp_path / "failed.jsonl"
    source.write_text("".join(json.dumps(event) + "\n" for event in events))
    write_log(paths, source)
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
    assert (state["run"], state["state"], state["stage"], state["hub"]) == ("run1", "done", "DONE", False)
    assert main.run(["status"]) == 0
    assert "no hub is running" in capsys.readouterr().err


def test_the_status_of_a_failed_run_says_that_it_failed_and_why(
    failed: WorkspacePaths, capsys: pytest.CaptureFixture[str]
) -> None:
    state = told(capsys, "status")
    assert (state["state"], state["stage"]) == ("failed", "MONITORING")
    assert state["reason"] == "f1 failed 3 times" and "error" not in state
    assert main.run(["status"]) == 0
    told_text = capsys.readouterr().out
    assert "failed in MONITORING" in told_text and "f1 failed 3 times" in told_text


def test_events_come_from_the_log(ended: WorkspacePaths, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["events", "--after", "3", "--type", "run:*"]) == 0
    told_lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {event["type"].split(":")[0] for event in told_lines} == {"run"}
    assert told_lines[0]["seq"] > 3 and told_lines[-1]["type"] == "run:finished"
    assert main.run(["events", "--follow"]) == 5


def test_a_report_is_a_page_for_a_person_and_json_for_a_program(
    ended: WorkspacePaths, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    report = load_events(LOG)[-1].data.model_dump()["report"]
    monkeypatch.setattr("aegis_tui.cli.status.compute_report", lambda place, run: report)
    assert main.run(["report"]) == 0
    assert json.loads(capsys.readouterr().out)["run"] == "run1"
    monkeypatch.setattr("aegis_tui.cli.status.sys.stdout.isatty", lambda: True)
    assert main.run(["report"]) == 0
    page = capsys.readouterr().out
    assert "git merge --ff-only aegis/run1/result" in page and not page.startswith("{")


def test_accepting_a_base_without_a_run_says_how_a_run_takes_it(
    ended: WorkspacePaths, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.run(["qa", "--accept-base-failures"]) == 2
    assert "aegis-tui run GOAL --accept-base-failures" in capsys.readouterr().err


def test_what_a_check_printed_is_told_without_a_hub(ended: WorkspacePaths, capsys: pytest.CaptureFixture[str]) -> None:
    result = CheckResult(status="passed", exit_code=0)
    printed = {"merged": "one\n\x1b[31mtwo\x1b[0m \u202eok\n", "base": "before\n"}
    outputs = QaOutputs(ended.state_dir / "qa")
    for number in (0, 1):
        texts = {tree: {"make test": Kept(result, f"{number} {text}")} for tree, text in printed.items()}
        outputs.keep("run1", number, [compare(1, "make test", result, result)], **texts)
    for name in ("1", "make", "make test", "1 make"):
        assert main.run(["qa", "--output", name]) == 0
        assert capsys.readouterr().out.splitlines()[0] == "1 one"
    assert main.run(["qa", "--output", "1", "run1", "--base", "--round", "1"]) == 0
    assert capsys.readouterr().out == "0 before\n"
    found = told(capsys, "qa", "--output", "make")
    assert (found["run"], found["round"], found["tree"], found["status"]) == ("run1", 1, "merged", "passed")
    assert found["output"] == f"1 {printed['merged']}"
    main.run(["qa", "--output", "1"])
    assert not {"\x1b", "\u202e"} & set(capsys.readouterr().out)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--output", "1"], "no output of QA is kept"),
        (["--output", "1", "../../x"], "not the name of a run"),
        (["--base"], "need --output"),
        (["--round", "1"], "need --output"),
    ],
)
def test_outputs_that_are_not_kept_are_named(
    ended: WorkspacePaths, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    assert main.run(["qa", *words]) == 2
    assert said in capsys.readouterr().err


def test_a_check_without_a_test_says_so() -> None:
    passed, tests = CheckResult(status="passed"), CheckResult(status="passed", executed=1, passed=1)
    [bare, named] = [compare(1, "echo '10 passed'", result, result) for result in (passed, tests)]
    lines = [[*qa_lines(cast(QaReport, {"round": 0, **check.model_dump()}))] for check in (bare, named)]
    assert [any("no test was seen to run" in line for line in shown) for shown in lines] == [True, False]


def test_where_nothing_was_ever_logged_that_is_said(paths: WorkspacePaths, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["runs"]) == 2
    assert main.run(["events"]) == 2
    assert main.run(["status"]) == 5
    assert capsys.readouterr().err.count("aegis-tui run GOAL") == 3


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
