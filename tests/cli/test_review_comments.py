"""A person's comments on lines of a piece, by command, against a hub in the middle of a run (WISH-2)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from aegis_tui.cli import main
from aegis_tui.sdk.discovery import WorkspacePaths
from tests.cli.test_history import paths
from tests.frozen.served import served

__all__ = ["paths"]


@pytest.fixture(autouse=True)
def hub(paths: WorkspacePaths) -> Iterator[None]:
    """A hub over a frozen log: alpha is submitted, and its worker lives."""
    with served(paths, "5-middle"):
        yield


@pytest.fixture
def ask(capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs `review` with these words; returns its exit code and what it printed as JSON."""

    def run(*words: str) -> tuple[int, dict[str, Any]]:
        code = main.run(["review", *words, "--json"])
        return code, json.loads(capsys.readouterr().out)

    return run


def test_comments_are_collected_listed_discarded_and_sent_as_one_prompt(ask: Any) -> None:
    for line, text in (("9", "why?"), ("3", "rename\x1b[2J"), ("1", "never mind")):
        assert ask("comment", "alpha", f"src/a/x.py:{line}", text)[0] == 0
    assert ask("discard", "alpha", "3")[1]["numbers"] == [3]
    code, listed = ask("comments", "alpha")
    assert code == 0 and [(item["line"], item["number"]) for item in listed["comments"]] == [(3, 2), (9, 1)]
    code, sent = ask("send", "alpha", "--wait", "0")
    assert (code, sent["comments"], sent["delivery"]) == (0, 2, "queued")
    assert ask("comments")[1]["comments"] == []
    assert main.run(["events", "--json"]) == 0


def test_the_list_is_inert_for_a_person(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["review", "comment", "alpha", "src/a/x.py:3", "re\x1b[2Jname"]) == 0
    assert main.run(["review", "comments"]) == 0
    shown = capsys.readouterr().out
    assert "src/a/x.py:3" in shown and "\x1b" not in shown


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["comment", "alpha", "src/a/x.py", "why?"], "is not FILE:LINE"),
        (["comment", "alpha", "src/a/x.py:0", "why?"], "is not FILE:LINE"),
        (["comment", "alpha", "src/a/x.py:1", " "], "empty"),
        (["comment", "nothing", "src/a/x.py:1", "why?"], "no piece nothing"),
        (["send", "alpha"], "no unsent comment on alpha"),
        (["discard", "alpha", "7"], "no unsent comment 7"),
    ],
)
def test_what_makes_no_sense_is_said_with_the_way_out(ask: Any, words: list[str], told: str) -> None:
    code, said = ask(*words)
    assert code == 2 and told in said["error"]["message"] and said["error"]["hint"]
