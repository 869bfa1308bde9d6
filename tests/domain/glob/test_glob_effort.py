"""Comparing globs is exact at any length and costs one request a bounded number of steps, the same each time."""

from __future__ import annotations

import string
import sys
from collections.abc import Callable, Iterator
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aegis_tui.domain.effort import MOST_STEPS, Effort
from aegis_tui.domain.glob import overlap as glob_overlap
from aegis_tui.domain.glob.bits import SegmentBits, bits_of
from aegis_tui.domain.glob.chars import common_char
from aegis_tui.domain.glob.cost import count_alternatives
from aegis_tui.domain.glob.index import near_pairs
from aegis_tui.domain.glob.overlap import overlap
from aegis_tui.domain.glob.pattern import compile_glob, split_path
from aegis_tui.domain.run.design import Design, check_design
from aegis_tui.domain.scope.partition import find_overlaps
from aegis_tui.errors import Refused

CLASSES = st.sampled_from(["[ab]", "[!a]", "[.]", "[a-c]"])
MIXED = st.lists(st.one_of(st.sampled_from(list("ab.*?")), CLASSES), min_size=1, max_size=7).map("".join)
ODD = st.lists(st.sampled_from(["*", "?", "[\u0300-\u0302]", "a", "e", "\u0323", "[ae]"]), min_size=1, max_size=5)
PATHS = st.lists(st.sampled_from(["a", "b", "*", "a*", "**", "?b", "{a,b}"]), min_size=1, max_size=4).map("/".join)


def legal(text: str) -> bool:
    try:
        compile_glob(text)
    except Refused:
        return False
    return text not in (".", "..")


@pytest.fixture
def forget() -> Iterator[Callable[[], None]]:
    def clear() -> None:
        glob_overlap._pattern_witness.cache_clear()
        glob_overlap._segment_witness.cache_clear()

    clear()
    yield clear
    clear()


def both_ways(one: str, other: str) -> tuple[str | None, str | None]:
    """What the search among all pairs of positions says, and what the rows of positions alone say."""
    small = glob_overlap._SMALL
    found = []
    for limit in (10**9, -1):
        glob_overlap._SMALL = limit
        glob_overlap._pattern_witness.cache_clear()
        glob_overlap._segment_witness.cache_clear()
        try:
            found.append(overlap(one, other))
        finally:
            glob_overlap._SMALL = small
    glob_overlap._pattern_witness.cache_clear()
    glob_overlap._segment_witness.cache_clear()
    return found[0], found[1]


@settings(deadline=None)
@given(MIXED.filter(legal), MIXED.filter(legal))
def test_long_segments_are_decided_like_short_ones(one: str, other: str) -> None:
    searched, on_rows = both_ways(one, other)
    assert (searched is None) == (on_rows is None)
    if on_rows is not None:
        assert compile_glob(one).matches(on_rows) and compile_glob(other).matches(on_rows)


@settings(deadline=None)
@given(ODD.map("".join).filter(legal), ODD.map("".join).filter(legal))
def test_long_segments_with_marks_that_combine_are_decided_like_short_ones(one: str, other: str) -> None:
    searched, on_rows = both_ways(one, other)
    assert (searched is None) == (on_rows is None)
    if on_rows is not None:
        assert compile_glob(one).matches(on_rows) and compile_glob(other).matches(on_rows)


@settings(deadline=None)
@given(MIXED.filter(legal), st.text(alphabet="abc.", min_size=1, max_size=8).filter(lambda name: name.strip(".") != ""))
def test_rows_of_positions_match_what_the_greedy_way_matches(glob: str, name: str) -> None:
    (*_, segment) = compile_glob(glob).patterns[0]
    assert SegmentBits(segment.tokens).matches(name) == compile_glob(glob).matches(name)


def test_a_long_segment_is_matched_by_every_star_in_it() -> None:
    glob = compile_glob("*a" * 400 + "b")
    assert glob.matches("xa" * 400 + "b")
    assert not glob.matches("xa" * 400 + "bc")
    assert not glob.matches("xa" * 399 + "b")


@settings(deadline=None)
@given(st.lists(st.lists(PATHS.filter(legal), min_size=1, max_size=3), min_size=2, max_size=4))
def test_globs_that_meet_are_among_those_that_are_compared(groups: list[list[str]]) -> None:
    compiled = [[compile_glob(text) for text in group] for group in groups]
    near = near_pairs(compiled, Effort(10**9))
    assert near == sorted(near, key=lambda pair: (pair[0][0], pair[1][0], pair[0][1], pair[1][1]))
    for (at, one), (to, other) in combinations(enumerate(groups), 2):
        for a, b in ((a, b) for a in range(len(one)) for b in range(len(other))):
            if overlap(one[a], other[b]) is not None:
                assert ((at, a), (to, b)) in near


@settings(deadline=None)
@given(st.text(alphabet="a{},\\", max_size=14))
def test_no_glob_has_more_alternatives_than_were_counted_for_it(text: str) -> None:
    if legal(text):
        assert len(compile_glob(text).patterns) <= count_alternatives(text)


def test_alternatives_are_counted_without_being_made() -> None:
    assert count_alternatives("{a,b}" * 8 + "x" * 900) == 256
    assert count_alternatives("{" * 400 + "," * 200) >= 1
    assert count_alternatives("{a,{b,c}d}\\{x,y") == 3


CLASS_PAIRS = [f"[{one}{other}]*" for one, other in combinations(string.ascii_letters + string.digits, 2)]
HOSTILE: dict[str, Callable[[int], str]] = {
    "the one of the field report": lambda number: "*a" * 500,
    "stars": lambda number: chr(98 + number) + "*a" * 500,
    "other stars": lambda number: ("*" + chr(97 + number)) * 500,
    "questions": lambda number: "?*" * (500 - number),
    "classes that differ": lambda number: "".join(CLASS_PAIRS[number * 130 : number * 130 + 130]) + "*x[ab]",
    "classes": lambda number: f"*[a-y{number % 10}]" * 140,
    "marks": lambda number: "[\u0300-\u036f]*" * 100 + str(number),
    "jamo": lambda number: "[\u1100-\u1112][\u1161-\u1175]" * 40 + str(number),
    "folders": lambda number: "**/a*/" * 150 + str(number),
    "stars for folders": lambda number: "**/*/" * 190 + f"{number}*",
    "braces": lambda number: "{a,b}" * 8 + "*a" * 480 + str(number),
    "braces with stars": lambda number: "{a,b,c,d}{a*,b?,c,d}{a,b,c,d}{a,b*,c,d}" + str(number),
}


def hostile_owners(make: Callable[[int], str]) -> dict[str, list[str]]:
    return {f"f{feature}": [make(4 * feature + number) for number in range(4)] for feature in range(3)}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_globs_are_answered_or_refused_by_a_count_that_is_the_same_each_time(
    name: str, forget: Callable[[], None]
) -> None:
    owners = hostile_owners(HOSTILE[name])
    seen = []
    for _ in range(2):
        effort = Effort()
        try:
            result = str(len(find_overlaps(owners, effort=effort)))
        except Refused as error:
            assert error.code == "glob.effort"
            assert "simplify: fewer wildcards" in error.hint
            assert all(len(glob) <= 60 for glob in error.data["globs"])
            result = error.message
        seen.append((result, effort.left))
    assert seen[0] == seen[1], "what was compared before changed the answer"


@pytest.mark.parametrize("name", HOSTILE)
def test_what_hostile_globs_cost_is_what_was_counted(name: str, forget: Callable[[], None]) -> None:
    effort, calls = Effort(), 0

    def count(frame: object, what: str, value: object) -> None:
        nonlocal calls
        calls += what in ("call", "c_call")

    owners = hostile_owners(HOSTILE[name])
    for remembered in (compile_glob, bits_of, common_char):
        remembered.cache_clear()
    sys.setprofile(count)
    try:
        find_overlaps(owners, effort=effort)
    except Refused:
        pass
    finally:
        sys.setprofile(None)
    assert calls < 10 * MOST_STEPS


def test_four_hostile_globs_against_one_of_a_living_instance_are_answered() -> None:
    owners = {"new": ["*a" * 500] * 4, "old": ["*b" * 499 + "*"]}
    assert len(find_overlaps(owners)) == 4


def test_a_design_of_hostile_globs_is_refused_with_what_to_do() -> None:
    features = [
        {"id": name, "title": "t", "brief": "b", "partition": globs}
        for name, globs in hostile_owners(HOSTILE["braces with stars"]).items()
    ]
    issues = check_design(Design.model_validate({"goal": "g", "features": features}))
    assert "simplify: fewer wildcards" in issues[-1].message
    assert "{a,b,c,d}{a*,b?,c,d}" in issues[-1].message


def test_a_design_of_400_ordinary_globs_is_checked_within_the_steps_of_a_request() -> None:
    kinds = ("src/f{0}/**", "tests/f{0}_*.py", "app/f{0}_?.ts", "docs/*/f{0}.md", "app/{0}/*.c", "web/{0}/[a-z]*.js")
    owners = {f"w{n}": [kind.format(n) for kind in (*kinds, "lib/x{0}.*/**", "t{0}/**")] for n in range(50)}
    effort = Effort()
    assert find_overlaps(owners, effort=effort) == []
    assert effort.left > MOST_STEPS // 20


def test_a_path_deeper_than_255_segments_is_none_inside_the_repository() -> None:
    assert split_path("a/" * 254 + "b") is not None
    assert split_path("a/" * 255 + "b") is None
