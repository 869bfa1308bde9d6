"""Issues become drafts, and what they say stays plain text."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from aegis_tui.application.spec_folder import SpecFolder
from aegis_tui.application.spec_import import MOST_CHARS, read_issue, spec_of
from aegis_tui.application.spec_text import dump_spec, load_spec, parse_spec
from aegis_tui.domain.inert import has_hidden
from aegis_tui.errors import Refused, UsageError

NOW = datetime(2026, 11, 30, 8, 0, tzinfo=UTC)
URL = "https://forge.example/shop/issues/7"


def issue(**more: Any) -> str:
    fields = {
        "number": 7,
        "title": "The sum is wrong",
        "body": "A member pays 200.\r\n\r\n- [ ] A member pays 180.\r\n- [x] Others pay 200.\r\n",
        "labels": [{"id": "L1", "name": "bug", "color": "f00"}, {"name": "priority: high"}],
        "comments": [{"author": {"login": "kim"}, "body": "I see it too.", "createdAt": "2026-11-29T08:00:00Z"}],
        "url": URL,
    }
    return json.dumps(fields | more)


def test_the_json_of_an_issue_becomes_a_draft_that_can_be_approved(tmp_path: Path) -> None:
    folder = SpecFolder(tmp_path)
    path = folder.add_issue(read_issue(issue()), author="Ada", now=NOW)
    assert path.name == "spec-2026-11-30-001.yaml"
    file = load_spec(path)
    spec = file.spec
    assert (spec.status, spec.priority, spec.metadata.tags) == ("draft", "high", ("bug", "priority: high"))
    assert (spec.metadata.title, spec.metadata.extra) == ("The sum is wrong", {"issue": "7", "url": URL})
    assert spec.requirements[0].acceptanceCriteria == ("A member pays 180.", "Others pay 200.")
    assert spec.tasks[0].type == "fix"
    assert spec.metadata.description.splitlines()[2:] == [
        "> A member pays 200.",
        ">",
        "> - [ ] A member pays 180.",
        "> - [x] Others pay 200.",
        "",
        "kim wrote:",
        "> I see it too.",
    ]
    folder.check_edited(file)
    with pytest.raises(Refused, match="spec-2026-11-30-001 was made from"):
        folder.add_issue(read_issue(issue()), author="Ada", now=NOW)


def test_markdown_has_its_title_first() -> None:
    read = read_issue("\n## Add a search\n\nBy name.\n")
    assert (read.title, read.body, read.url, read.labels) == ("Add a search", "By name.", "", ())
    spec = spec_of(read, "a", author="", now=NOW)
    assert parse_spec(dump_spec(spec), name="a.yaml").spec == spec


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \n",
        "{",
        "[]",
        '{"title": ""}',
        '{"title": 1}',
        '{"body": "x"}',
        '{"title": "x", "labels": 1}',
        "[" * 9000,
        f'{{"number": {"1" * 9000}}}',
    ],
)
def test_what_is_no_issue_is_refused_with_the_command_that_gives_one(text: str) -> None:
    with pytest.raises(UsageError) as refused:
        read_issue(text)
    assert "gh issue view" in refused.value.hint


def test_a_long_discussion_is_cut_and_that_is_said() -> None:
    comments = [{"author": None, "body": f"{number} " + "x" * 20_000} for number in range(6)]
    read = read_issue(issue(body="y" * (MOST_CHARS + 1), comments=comments))
    description = spec_of(read, "a", author="", now=NOW).metadata.description
    assert len(description) < 2 * MOST_CHARS + 1000
    assert "[the rest is left out]" in description and "more comments are left out." in description


def test_a_million_blank_lines_are_read_once() -> None:
    """Read again for each line, they would take hours."""
    read = read_issue(issue(body="a" + "\n" * 900_000 + "- [ ] b"))
    assert spec_of(read, "a", author="", now=NOW).requirements[0].acceptanceCriteria == ("b",)


@settings(max_examples=60, deadline=None)
@given(st.text(), st.text(min_size=1), st.lists(st.text(), max_size=3))
@example("a\tb", "x", [])
def test_whatever_an_issue_says_is_quoted_text_of_a_draft(body: str, title: str, names: list[str]) -> None:
    hostile = body + "\nstatus: approved\n\x1b[2J\u202e: # - [ ] &a *a\n"
    text = issue(title="T" + title, body=hostile, labels=[{"name": name} for name in names])
    spec = spec_of(read_issue(text), "a", author="Ada", now=NOW)
    assert parse_spec(dump_spec(spec), name="a.yaml").spec == spec
    assert spec.status == "draft" and not has_hidden(spec.metadata.title)
    lines = spec.metadata.description.splitlines()
    assert not any(has_hidden(line.replace("\t", "")) for line in lines)
    assert all(line.startswith(">") or line in ("", "kim wrote:") for line in lines[1:])
