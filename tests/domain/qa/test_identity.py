from __future__ import annotations

import pytest

from aegis_tui.domain.qa.identity import lost_tests


@pytest.mark.parametrize(
    ("before", "now"),
    [
        ("t.py::test_a[1]", "t.py::test_a[2]"),
        ("t.py::T::test_a[x::y[0]]", "t.py::T::test_a[x::z[0]]"),
        ("t.py::test_a", "tests/unit/u.py::test_a"),
        ("t.py::test_a", "t.py::TestAll::test_a"),
        ("app/[id]/p.test.ts::adds 1 + 2 (fast)", "app/[id]/p.test.ts::adds 1 + 3 (fast)"),
        ("a/p.test.ts::cart adds", "b/p.test.ts::cart adds"),
        ("example.org/x/v2.TestAll/at_12:30", "example.org/x/v2.TestAll/at_12:31"),
        ("example.org/x.TestAll", "example.org/y.TestAll"),
        ("org.shop.CartTest.total(int)[1]", "org.shop.CartTest.total(int)[2]"),
        ("src/lib.rs::tests::adds", "src/cart.rs::tests::adds"),
        ("test_a (tests.test_x.T.test_a)", "test_a (tests.test_y.T.test_a)"),
    ],
)
def test_a_test_that_moved_or_has_other_parameters_is_still_there(before: str, now: str) -> None:
    assert lost_tests({before, "t.py::same"}, {now, "t.py::same"}) == []
    assert lost_tests({before, now}, {now}) == [before]


@pytest.mark.parametrize(
    ("before", "now"),
    [
        ("t.py::test_a", "t.py::test_b"),
        ("t.py::test_1", "t.py::test_2"),
        ("app/(shop)/p.test.ts::adds", "app/(shop)/p.test.ts::removes"),
        ("p.test.ts::cart (small) adds", "p.test.ts::cart (small) removes"),
        ("example.org/x.TestA", "example.org/x.TestB"),
        ("org.shop.CartTest.total", "org.shop.CartTest.other"),
        ("cart > adds", "cart > removes"),
        ("test_1 (tests.test_x.T.test_1)", "test_2 (tests.test_x.T.test_2)"),
    ],
)
def test_no_other_test_stands_for_one_that_went(before: str, now: str) -> None:
    assert lost_tests({before}, {now}) == [before]


def test_one_new_test_stands_for_one_that_went_only() -> None:
    assert lost_tests({"a.py::t", "b.py::t"}, {"c.py::t"}) == ["b.py::t"]
    assert lost_tests({"a.py::t[1]", "a.py::t[2]", "a.py::t[3]"}, {"a.py::t[4]", "a.py::t[2]"}) == ["a.py::t[3]"]
