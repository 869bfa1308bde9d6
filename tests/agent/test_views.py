"""A file that was shown already comes back as a diff, and in full where the diff would not help (LLM-4)."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aegis_tui.agent.files import numbered
from aegis_tui.agent.views import FileViews

LINES = [f"line number {number} of this file" for number in range(1, 61)]
TEXT = "\n".join(LINES) + "\n"


def changed(*pairs: tuple[int, str]) -> str:
    lines = list(LINES)
    for number, line in pairs:
        lines[number - 1] = line
    return "\n".join(lines) + "\n"


def show(views: FileViews, text: str = TEXT, start: int | None = None, end: int | None = None) -> str:
    return views.show("a.txt", text, start=start, end=end)


def test_an_unchanged_file_is_not_shown_again_unless_it_is_asked_for_once_more() -> None:
    views = FileViews()
    assert show(views) == numbered(TEXT, start=None, end=None)
    assert show(views) == "(lines 1 to 60 of a.txt: unchanged since you read them)"
    assert show(views) == numbered(TEXT, start=None, end=None)
    assert show(views) == "(lines 1 to 60 of a.txt: unchanged since you read them)"


def test_a_changed_file_comes_back_as_its_difference() -> None:
    views = FileViews()
    show(views)
    answer = show(views, changed((10, "ten"), (50, "fifty\nand more")))
    assert answer.splitlines()[1:] == [
        "@@ 9 @@",
        " line number 9 of this file",
        "-line number 10 of this file",
        "+ten",
        " line number 11 of this file",
        "@@ 49 @@",
        " line number 49 of this file",
        "-line number 50 of this file",
        "+fifty",
        "+and more",
        " line number 51 of this file",
    ]
    assert "unchanged" in show(views, changed((10, "ten"), (50, "fifty\nand more")), start=5, end=55)


def test_a_difference_that_is_longer_than_the_file_is_not_shown() -> None:
    views = FileViews()
    show(views)
    other = "\n".join(f"all new {number}" for number in range(60))
    assert show(views, other) == numbered(other, start=None, end=None)


def test_lines_that_were_never_shown_are_shown() -> None:
    views = FileViews()
    show(views, end=30)
    assert show(views, start=20, end=40) == numbered(TEXT, start=20, end=40)
    assert "unchanged" in show(views, start=5, end=39)
    moved = "new first line\n" + TEXT
    assert "unchanged" in show(views, moved, start=10, end=30), "the lines are the same ones, one further down"


def test_lines_that_an_edit_added_between_seen_ones_are_shown() -> None:
    views = FileViews()
    show(views)
    answer = show(views, changed((10, "line number 10 of this file\nadded")), start=5, end=40)
    assert "+added" in answer and "-line" not in answer
    assert "+added" not in show(views, changed((10, "line number 10 of this file\nadded")), start=30, end=50)


def test_what_left_the_conversation_is_shown_in_full_again() -> None:
    views = FileViews()
    first = show(views)
    views.keep_only([f"{first}\nsome news"])
    assert "unchanged" in show(views)
    views.keep_only(["[left out]"])
    assert show(views) == numbered(TEXT, start=None, end=None)


def test_a_file_that_an_edit_did_not_fit_is_shown_in_full() -> None:
    views = FileViews()
    show(views)
    views.forget("a.txt")
    assert show(views) == numbered(TEXT, start=None, end=None)


def test_a_derived_text_is_shown_once() -> None:
    views = FileViews()
    assert views.show_text("the signatures of a.py", "1: def f()") == "1: def f()"
    assert views.show_text("the signatures of a.py", "1: def f()") == (
        "(the signatures of a.py: unchanged since you read them)"
    )
    assert views.show_text("the signatures of a.py", "1: def f()") == "1: def f()"
    assert views.show_text("the signatures of a.py", "1: def g()") == "1: def g()"


def test_a_large_file_that_is_all_different_is_shown_at_once() -> None:
    views = FileViews()
    show(views, "\n".join(f"a{number}" for number in range(5_000)))
    assert show(views, "\n".join(f"b{number}" for number in range(5_000))).startswith("    1\tb0")


@pytest.mark.parametrize("text", ["", "\n", "one"])
def test_short_files_are_shown_as_they_are(text: str) -> None:
    views = FileViews()
    assert [show(views, text) for _ in range(3)] == [numbered(text, start=None, end=None)] * 3


EDITS = st.dictionaries(st.integers(0, 11), st.integers(0, 2), max_size=2)
SPANS = st.tuples(st.none() | st.integers(1, 12), st.none() | st.integers(1, 12))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(EDITS, SPANS), min_size=1, max_size=6))
def test_what_an_answer_leaves_out_was_shown_before(reads: list[tuple[dict[int, int], tuple[int, int]]]) -> None:
    """Whatever is read in whatever order, while lines change, go (0) and come (2)."""
    views, known = FileViews(), set[str]()
    for edits, (start, end) in reads:
        rows = [f"row {at:02}." * 6 for at in range(12)]
        for at, count in edits.items():
            rows[at] = "\n".join([f"new {at:02}." * 6] * count)
        lines = "\n".join(rows).splitlines()
        answer = show(views, "\n".join(lines), start, end)
        known |= {line for line in lines if line in answer}
        assert set(lines[(start or 1) - 1 : end or len(lines)]) - {""} <= known
