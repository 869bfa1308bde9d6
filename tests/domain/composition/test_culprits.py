"""The search for the pieces that break a batch: whom it names, and how many verdicts it needs (PERF-22)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from fractions import Fraction
from math import ceil, comb, log2

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aegis_tui.domain.composition.culprits import Failures, Split, search_culprits
from aegis_tui.domain.composition.order import dependants, in_order

Verdict = Callable[[Collection[str]], Failures]


def names(count: int) -> list[str]:
    return [f"p{number:03}" for number in range(count)]


def play(
    pieces: Sequence[str], verdict: Verdict, needs: Mapping[str, Collection[str]] | None = None
) -> tuple[Split, list[frozenset[str]]]:
    """What the search finds, and every set that it asked for."""
    asked: list[frozenset[str]] = []
    search = search_culprits(pieces, needs or {}, verdict(pieces))
    try:
        wanted = next(search)
        while True:
            asked.append(frozenset(wanted))
            wanted = search.send(verdict(wanted))
    except StopIteration as end:
        split: Split = end.value
        return split, asked


def breaking(combinations: Collection[Collection[str]]) -> Verdict:
    """QA fails, in a way of its own, for each combination that is there as a whole."""
    sets = [frozenset(item) for item in combinations]
    return lambda there: frozenset("+".join(sorted(item)) for item in sets if item <= frozenset(there))


def nameless(combinations: Collection[Collection[str]]) -> Verdict:
    """QA says no more than that it fails."""
    tell = breaking(combinations)
    return lambda there: frozenset({"failed"} if tell(there) else ())


def bound(pieces: int, culprits: int) -> int:
    return culprits * ceil(log2(pieces)) + 1


@st.composite
def batches(draw: st.DrawFn, largest: int = 1) -> tuple[list[str], list[frozenset[str]]]:
    """Pieces, and the combinations of up to `largest` of them that fail."""
    pieces = names(draw(st.integers(2, 70)))
    combination = st.frozensets(st.sampled_from(pieces), min_size=1, max_size=largest)
    return pieces, draw(st.lists(combination, min_size=1, max_size=6, unique=True))


@given(batches())
def test_culprits_that_fail_each_in_its_own_way_are_named_within_the_bound(
    batch: tuple[list[str], list[frozenset[str]]],
) -> None:
    pieces, bad = batch
    split, asked = play(pieces, breaking(bad))
    guilty = {name for item in bad for name in item}
    assert {item.name for item in split.culprits} == guilty
    assert list(split.good) == [name for name in pieces if name not in guilty]
    assert len(asked) <= bound(len(pieces), len(guilty))
    assert len(asked) == len(set(asked)), "a set was asked for twice"


@given(batches())
def test_culprits_that_cannot_be_told_apart_cost_at_most_one_verdict_more_each(
    batch: tuple[list[str], list[frozenset[str]]],
) -> None:
    pieces, bad = batch
    split, asked = play(pieces, nameless(bad))
    guilty = {name for item in bad for name in item}
    assert {item.name for item in split.culprits} == guilty
    assert len(asked) <= bound(len(pieces), len(guilty)) + len(guilty) - 1


@given(batches(largest=3), st.booleans())
def test_what_is_kept_was_tested_and_no_culprit_could_be_added_to_it(
    batch: tuple[list[str], list[frozenset[str]]], can_tell: bool
) -> None:
    """Also where pieces fail only together: then the last of them goes, and none that could stay."""
    pieces, bad = batch
    verdict = (breaking if can_tell else nameless)(bad)
    split, asked = play(pieces, verdict)
    assert not verdict(split.good)
    assert not split.good or frozenset(split.good) in asked
    for item in split.culprits:
        assert verdict((*split.good, item.name)), item.name
        assert item.failures
    assert sorted((*split.good, *(item.name for item in split.culprits))) == pieces


@st.composite
def graphs(draw: st.DrawFn) -> tuple[list[str], dict[str, set[str]], list[frozenset[str]]]:
    """Pieces that build on earlier ones, in any order, and the bad ones."""
    pieces = names(draw(st.integers(2, 24)))
    needs = {
        name: draw(st.sets(st.sampled_from(pieces[:place]), max_size=2)) if place else set()
        for place, name in enumerate(pieces)
    }
    bad = draw(st.lists(st.frozensets(st.sampled_from(pieces), min_size=1, max_size=2), min_size=1, max_size=4))
    return draw(st.permutations(pieces)), needs, bad


@given(graphs())
def test_what_builds_on_a_culprit_goes_with_it_and_no_set_lacks_what_it_needs(
    graph: tuple[list[str], dict[str, set[str]], list[frozenset[str]]],
) -> None:
    pieces, needs, bad = graph
    verdict = breaking(bad)
    split, asked = play(pieces, verdict, needs)
    for there in [*asked, frozenset(split.good)]:
        assert all(needs[name] <= there for name in there)
    assert not verdict(split.good)
    for item in split.culprits:
        assert set(dependants(item.name, pieces, needs)).isdisjoint(split.good)
        assert needs[item.name] <= set(split.good), "it would have gone with another one"
        assert verdict((*split.good, item.name)), item.name
    gone = [name for item in split.culprits for name in (item.name, *item.dependants)]
    assert sorted((*split.good, *gone)) == sorted(pieces)


@given(st.integers(2, 20), st.randoms(use_true_random=False))
def test_a_verdict_that_follows_no_rule_still_ends_with_a_tested_tree(count: int, random: st.DataObject) -> None:
    """A piece that repairs another one, or a test that fails by chance: nothing unseen is kept."""
    pieces = names(count)
    known: dict[frozenset[str], Failures] = {frozenset(pieces): frozenset({"x"}), frozenset(): frozenset()}

    def verdict(there: Collection[str]) -> Failures:
        chosen = random.choice([frozenset(), frozenset({"x"}), frozenset({"y"})])  # type: ignore[attr-defined]
        return known.setdefault(frozenset(there), chosen)

    split, asked = play(pieces, verdict)
    assert known[frozenset(split.good)] == frozenset()
    assert len(asked) == len(set(asked))


def test_one_bad_piece_of_two_is_named_by_two_verdicts_at_most() -> None:
    for bad in ("p000", "p001"):
        split, asked = play(names(2), breaking([{bad}]))
        assert [item.name for item in split.culprits] == [bad]
        assert len(asked) <= 2


def test_where_everything_is_bad_nothing_is_kept() -> None:
    pieces = names(5)
    split, _ = play(pieces, breaking([{name} for name in pieces]))
    assert split.good == ()
    assert [item.name for item in split.culprits] == pieces


def test_the_order_is_the_given_one_where_needs_leave_a_choice() -> None:
    assert in_order(["c", "a", "b"], {"c": ["b"], "a": ["elsewhere"]}) == ["a", "b", "c"]
    with pytest.raises(ValueError, match="need each other: a, b"):
        in_order(["a", "b"], {"a": ["b"], "b": ["a"]})


def test_dependants_are_found_through_others() -> None:
    needs = {"b": ["a"], "c": ["b"], "d": ["x"]}
    assert dependants("a", ["a", "b", "c", "d"], needs) == ["b", "c"]


def test_no_search_can_keep_the_bound_if_verdicts_only_say_that_a_set_fails() -> None:
    """The sum that the description of the search names: over 1, so that no tree of verdicts has room for all groups."""
    pieces, halves = 512, 256
    touched = (Fraction(comb(pieces, k) - comb(halves, k), 2 ** (9 * k)) for k in range(1, 9))
    assert 1.06 < sum(touched) < 1.08


@pytest.mark.parametrize("bad", [1, 2, 3, 5, 8])
def test_verdicts_that_cannot_be_told_apart_cost_at_most_one_more_for_each_culprit(bad: int) -> None:
    """The worst case is a batch whose first pieces are bad: nothing about the others is known when one is found."""
    pieces = names(512)
    culprits = set(pieces[:bad])
    split, asked = play(pieces, lambda there: frozenset({"failed"} if culprits & set(there) else ()))
    assert {item.name for item in split.culprits} == culprits
    assert len(asked) <= bad * 9 + bad
