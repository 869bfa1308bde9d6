"""`aegis-tui review`: the verdicts of a run, and the joint report, where no hub is running (REV-2)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft4Validator  # type: ignore[import-untyped]

from aegis_tui.cli import main
from aegis_tui.sdk.discovery import WorkspacePaths
from tests.cli.logged import recorded, write_log
from tests.cli.test_history import paths

__all__ = ["paths"]
SCHEMA = Path(__file__).parents[1] / "domain" / "review" / "sarif-schema-2.1.0.json"


@pytest.fixture(autouse=True)
def log(paths: WorkspacePaths) -> None:
    """A log of one run whose pieces were reviewed, up to its commit, which is in no repository here."""
    events = recorded()
    end = next(number for number, event in enumerate(events) if event["type"] == "run:committed")
    write_log(paths, events[:end])


def printed(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    assert main.run(["review", *words]) == 0
    return json.loads(capsys.readouterr().out)


def test_the_verdicts_are_listed_with_and_without_the_name_of_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    whole = printed(capsys, "--json")
    assert whole["reviews"] and printed(capsys, "run1", "--json") == whole == printed(capsys, "--json", "run1")


def test_the_joint_report_has_every_piece_and_one_piece_alone(capsys: pytest.CaptureFixture[str]) -> None:
    whole = printed(capsys, "show", "--json")
    assert printed(capsys, "show", "run1", "--json") == whole
    names = [item["piece"] for item in whole["pieces"]]
    assert "composition" in names and len(names) > 2
    alone = printed(capsys, "show", names[0], "--json")
    assert alone["pieces"] == [item for item in whole["pieces"] if item["piece"] == names[0]]
    assert main.run(["review", "show"]) == 0
    assert all(f"{name}: approved" in capsys.readouterr().out for name in names[:1])


def test_it_is_printed_as_markdown_and_as_sarif(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["review", "show", "--markdown"]) == 0
    assert capsys.readouterr().out.startswith("# Review of run1\n")
    document = printed(capsys, "show", "--sarif")
    Draft4Validator(json.loads(SCHEMA.read_text("utf-8"))).validate(document)
    assert len(document["runs"]) == len(printed(capsys, "show", "--json")["pieces"])


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["show", "nothing"], "no reviewed piece nothing"),
        (["show", "--sarif", "--markdown"], "cannot be combined"),
        (["run9"], "run9"),
    ],
)
def test_what_is_not_there_is_said(capsys: pytest.CaptureFixture[str], words: list[str], told: str) -> None:
    assert main.run(["review", *words]) == 2
    assert told in capsys.readouterr().err
