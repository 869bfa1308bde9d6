"""Lenses come from files: the team's before those that ship, and nothing but a small regular file is read (ROLE-9)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from aegis_tui.adapters.lens_files import SHIPPED, find_lens, lens_names
from aegis_tui.domain.review.lens import GENERAL, ReviewLens
from aegis_tui.errors import UsageError

OURS = "---\nname: security\ndescription: Ours.\nblocking: {blocking}\n---\n- payments: checked twice\n"


@pytest.fixture
def lenses(tmp_path: Path) -> Path:
    folder = tmp_path / ".agents" / "lenses"
    folder.mkdir(parents=True)
    return folder


def test_the_general_lens_needs_no_file(tmp_path: Path) -> None:
    assert find_lens(tmp_path, "general") == GENERAL


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.md")), ids=lambda path: path.stem)
def test_what_ships_can_be_read_and_has_a_checklist(path: Path, tmp_path: Path) -> None:
    lens = find_lens(tmp_path, path.stem)
    assert lens.name == path.stem
    assert sum(line.startswith("- ") for line in lens.brief.splitlines()) >= 3


@pytest.mark.parametrize("blocking", [True, False])
def test_the_teams_own_file_goes_before_the_one_that_ships(lenses: Path, blocking: bool) -> None:
    (lenses / "security.md").write_text(OURS.format(blocking=str(blocking).lower()))
    assert find_lens(lenses.parent.parent, "security") == ReviewLens(
        name="security", blocking=blocking, brief="- payments: checked twice"
    )


def test_a_team_adds_a_lens_by_a_file(lenses: Path) -> None:
    (lenses / "money.md").write_text("---\nname: money\ndescription: Rounding.\n---\n- rounding: never in floats\n")
    assert find_lens(lenses.parent.parent, "money").blocking
    assert lens_names(lenses.parent.parent) == ["compliance", "general", "money", "performance", "security", "style"]


@pytest.mark.parametrize("name", ["nosuch", "../lenses/security", "security.md", "", "a/b", "\0", "x" * 300])
def test_another_name_is_refused_with_those_that_there_are(lenses: Path, name: str) -> None:
    with pytest.raises(UsageError, match="there is no lens") as refused:
        find_lens(lenses.parent.parent, name)
    assert "security" in refused.value.hint


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- no front matter\n", "three dashes"),
        ("---\nname: security\ndescription: x\n", "not closed"),
        ("---\nname: style\ndescription: x\n---\n", "has the name 'style'"),
        ("---\nname: [\n---\n", "is not valid"),
        ("---\n- a list\n---\n", "is not valid"),
        ("---\nname: security\ndescription: x\nblocking: perhaps\n---\n", "blocking"),
        ("---\nname: security\ndescription: x\ncolour: red\n---\n", "colour"),
        ("---\nname: security\ndescription: x\n---\n" + "y" * 20_000, "at most 16384"),
        ("---\n" + "[" * 900 + "\n---\n", "is not valid"),
        ("---\n" + "[" * 3000 + "\n---\n", "more than 1000"),
        ("z" * 100_000, "at most"),
    ],
    ids=range(11),
)
def test_a_file_that_does_not_fit_is_refused_by_its_name(lenses: Path, text: str, message: str) -> None:
    (lenses / "security.md").write_text(text)
    with pytest.raises(UsageError, match=message) as refused:
        find_lens(lenses.parent.parent, "security")
    assert "security.md" in refused.value.message


def test_a_link_a_pipe_and_a_folder_are_not_read(lenses: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(OURS.format(blocking="true"))
    (lenses / "security.md").symlink_to(tmp_path / "secret")
    os.mkfifo(lenses / "style.md")
    (lenses / "performance.md").mkdir()
    for name in ("security", "style", "performance"):
        with pytest.raises(UsageError, match=f"{name}.md"):
            find_lens(tmp_path, name)


def test_a_folder_of_lenses_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "style.md").write_text("---\nname: style\ndescription: x\n---\n- a: b\n")
    (tmp_path / "repo" / ".agents").mkdir(parents=True)
    (tmp_path / "repo" / ".agents" / "lenses").symlink_to(outside)
    with pytest.raises(UsageError, match=r"style\.md is not a regular file"):
        find_lens(tmp_path / "repo", "style")
