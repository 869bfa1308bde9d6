"""Which lines are shown of a call."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aegis_tui.domain.code_map.excerpt import Excerpt, excerpt_of, joined, render_excerpt

LINES = """
def first(a):
    b = a

    call(
        ")", a,
        [b],
    )
    c = b
    d = c
    e = d

def second(): return call(1)
x = 1
""".strip().splitlines()


@pytest.mark.parametrize(
    ("line", "within", "shown"),
    [
        (4, Excerpt(1, 10), Excerpt(2, 9)),
        (4, Excerpt(4, 5), Excerpt(4, 7)),
        (12, Excerpt(12, 12), Excerpt(12, 12)),
        (2, Excerpt(1, 10), Excerpt(1, 4)),
        (1, Excerpt(1, 13), Excerpt(1, 2)),
        (13, Excerpt(1, 13), Excerpt(12, 13)),
    ],
)
def test_a_call_is_shown_whole_with_two_lines_around_it_in_its_definition(
    line: int, within: Excerpt, shown: Excerpt
) -> None:
    assert excerpt_of(LINES, line, within=within) == shown


@pytest.mark.parametrize(
    ("before", "first"),
    [
        (["def f():", '    """Sum up.', "    of all.", '    """'], 5),
        (["func f() {", "    /* Sum", "     * up */", "    x()"], 4),
        (["def f():", '    """Sum up."""', "    x = 1", "    y = 1"], 3),
        (["def f():", "    x = 0", '    """Sum up."""', "    # one"], 3),
    ],
)
def test_of_words_of_several_lines_before_a_call_nothing_is_shown(before: list[str], first: int) -> None:
    assert excerpt_of([*before, "    call(1)"], 5, within=Excerpt(1, 5)) == Excerpt(first, 5)


def test_a_bracket_that_is_never_closed_ends_after_ten_lines() -> None:
    assert excerpt_of(["call("] * 50, 20, within=Excerpt(1, 50)) == Excerpt(18, 31)


@given(st.lists(st.text("ab()[]{}'\" ", max_size=8), min_size=1, max_size=40), st.data())
def test_an_excerpt_contains_its_line_and_lies_in_the_file(lines: list[str], draws: st.DataObject) -> None:
    line = draws.draw(st.integers(1, len(lines)))
    first = draws.draw(st.integers(1, len(lines)))
    excerpt = excerpt_of(lines, line, within=Excerpt(first, draws.draw(st.integers(first, len(lines)))))
    assert 1 <= excerpt.first <= line <= excerpt.last <= len(lines)
    assert len(render_excerpt(lines, excerpt).split("\n")) == excerpt.last - excerpt.first + 1


def test_long_lines_are_cut_and_excerpts_are_joined() -> None:
    assert render_excerpt(["x" * 400], Excerpt(1, 1)) == "x" * 300 + " [line cut]"
    assert joined([Excerpt(3, 5), Excerpt(1, 4)]) == Excerpt(1, 5)
