"""`runs`, `report`, `events`, `qa`, `status` and `transcript` where no hub is running."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import pytest

from aegis_tui.cli import main
from aegis_tui.cli.place import here
from aegis_tui.cli.qa import qa_lines
from aegis_tui.domain.qa.check import CheckResult
from aegis_tui.domain.qa.verdict import compare
from aegis_tui.domain.run.report_model import QaReport
from aegis_tui.orchestrator.qa_outputs import Kept, QaOutputs
from aegis_tui.sdk.discovery import WorkspacePaths
from aegis_tui.tui.recorded import load_events
from tests.cli.logged import LOG, empty_repository, recorded, until_failed, write_log


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WorkspacePaths:
    return empty_repository(tmp_path, monkeypatch)


@pytest.fixture
def ended(paths: WorkspacePaths) -> WorkspacePaths:
    """A workspace whose hub has ended after one run."""
    write_log(paths, recorded())
    return paths


@pytest.fixture
def failed(paths: WorkspacePaths) -> WorkspacePaths:
    """A workspace whose hub has ended after a run that failed while its workers worked."""
    write_log(paths, until_failed(recorded()))
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
