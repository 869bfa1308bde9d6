"""Spans that move with the lines, against an oracle that gives every line a name of its own."""

from __future__ import annotations

import subprocess
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aegis_tui.domain.lock.region import (
    MAX_VIEWS,
    Hunk,
    Span,
    View,
    blob_id,
    common,
    contain,
    cross,
    grow,
    is_inside,
    joined,
    line_hunks,
    move,
    move_all,
    rewrite_of,
    split_lines,
    with_view,
)

LINES = 9


@st.composite
def edits(draw: st.DrawFn) -> tuple[Hunk, ...]:
    """Hunks of one diff over a file of `LINES` lines, none touching another, without slack."""
    cuts = sorted(draw(st.lists(st.integers(1, LINES + 1), min_size=0, max_size=6, unique=True)))
    found: list[Hunk] = []
    for first, after in pairwise([*cuts, LINES + 2]):
        removed = draw(st.integers(0, max(0, min(after - first - 1, LINES - first + 1))))
        added = draw(st.integers(0 if removed else 1, 3))
        found.append(Hunk(first, removed, added))
    return tuple(found)


def applied(hunks: tuple[Hunk, ...]) -> list[str]:
    """The file after the hunks; old lines keep their names."""
    lines = [f"old {number}" for number in range(1, LINES + 1)]
    for index, hunk in reversed(list(enumerate(hunks))):
        new = [f"new {index}.{number}" for number in range(hunk.added)]
        lines[hunk.start - 1 : hunk.start - 1 + hunk.removed] = new
    return lines


spans = st.tuples(st.integers(1, LINES), st.integers(1, LINES)).map(lambda pair: (min(pair), max(pair)))


def tracked(span: Span, hunks: tuple[Hunk, ...]) -> Span | None:
    """Where the lines of the span are now, if all are there and nothing is between them."""
    wanted = [f"old {number}" for number in range(span[0], span[1] + 1)]
    after = applied(hunks)
    places = [after.index(line) + 1 for line in wanted if line in after]
    is_whole = len(places) == len(wanted) and places[-1] - places[0] + 1 == len(wanted)
    return (places[0], places[-1]) if is_whole else None


@given(spans, edits())
def test_a_span_is_where_its_lines_are_or_is_stale(span: Span, hunks: tuple[Hunk, ...]) -> None:
    assert move(span, hunks) == tracked(span, hunks)


@given(spans, edits())
def test_a_span_that_its_holder_writes_in_keeps_the_lines_around_it_out(span: Span, hunks: tuple[Hunk, ...]) -> None:
    grown = grow(span, hunks)
    if grown is None:
        return
    after = applied(hunks)
    inside = after[grown[0] - 1 : grown[1]]
    mine = {f"old {number}" for number in range(span[0], span[1] + 1)}
    foreign = {f"old {number}" for number in range(1, LINES + 1)} - mine
    assert not foreign & set(inside)
    assert mine & set(after) <= set(inside)
    written = {f"new {i}.{n}" for i, hunk in enumerate(hunks) if is_inside(hunk, [span]) for n in range(hunk.added)}
    assert written == {line for line in inside if line.startswith("new")}


texts = st.lists(st.sampled_from(["a\n", "b\n", "\n"]), max_size=8).map("".join)


@given(texts, texts)
def test_hunks_turn_one_text_into_the_other_wherever_they_slide(before: str, after: str) -> None:
    old, new = split_lines(before), split_lines(after)
    for up in (False, True):
        built, taken, given_ = [], 0, 0
        for hunk in line_hunks(before, after):
            start = hunk.start - 1 - (hunk.slack if up else 0)
            kept = old[taken:start]
            built += kept
            given_ += len(kept)
            built += new[given_ : given_ + hunk.added]
            given_ += hunk.added
            taken = start + hunk.removed
        assert built + old[taken:] == new


def test_a_function_put_in_before_a_decorated_one_does_not_cut_it() -> None:
    before = "def f():\n    pass\n\n@cached\ndef g():\n    pass\n"
    after = "def f():\n    pass\n\n@cached\ndef h():\n    pass\n\n@cached\ndef g():\n    pass\n"
    hunks = line_hunks(before, after)
    assert move((4, 6), hunks) == (8, 10)
    assert move((1, 2), hunks) == (1, 2)


def test_a_change_of_many_lines_is_told_as_one_hunk() -> None:
    before = "".join(f"{number}\n" for number in range(3000))
    after = "0\n" + "".join(f"x{number}\n" for number in range(2998)) + "2999\n"
    assert line_hunks(before, after) == (Hunk(2, 2998, 2998),)


def test_lines_are_cut_at_newlines_alone() -> None:
    assert split_lines("a\x0cb\u2028c\r\nd") == ["a\x0cb\u2028c\r\n", "d"]
    assert split_lines("") == []


def test_a_blob_has_the_id_that_git_gives_it(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"one\r\ntwo")
    told = subprocess.run(["git", "hash-object", "--no-filters", "x"], cwd=tmp_path, capture_output=True, check=True)
    assert blob_id(b"one\r\ntwo") == told.stdout.decode().strip()
    assert rewrite_of("", "one\r\ntwo").new_oid == blob_id(b"one\r\ntwo")


def test_spans_are_joined_compared_and_moved_together() -> None:
    assert joined([(4, 5), (1, 2), (3, 3), (9, 9)]) == ((1, 5), (9, 9))
    assert cross([(1, 3)], [(9, 9), (3, 4)]) and not cross([(1, 3)], [(4, 9)])
    assert contain([(1, 2), (3, 4)], [(2, 3)]) and not contain([(1, 2), (4, 5)], [(2, 4)])
    assert move_all([(1, 2), (5, 6)], [Hunk(4, 0, 2)]) == ((1, 2), (7, 8))
    assert move_all([(1, 2), (5, 6)], [Hunk(6, 1, 1)]) is None


@pytest.mark.parametrize("again", [0, 3])
def test_the_first_view_and_the_newest_are_kept(again: int) -> None:
    views: tuple[View, ...] = ()
    for number in range(MAX_VIEWS + 3):
        views = with_view(views, View(base_oid=f"{number}", spans=((1, number + 1),)))
    assert [view.base_oid for view in views] == ["0", *(str(number) for number in range(4, MAX_VIEWS + 3))]
    newer = with_view(views, View(base_oid=views[again].base_oid, spans=((7, 7),)))
    assert len(newer) == MAX_VIEWS and newer[0].base_oid == "0"
    assert common(newer, [View(base_oid=views[again].base_oid, spans=((1, 1),))]) == [(((7, 7),), ((1, 1),))]
