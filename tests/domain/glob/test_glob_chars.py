"""Characters that two tokens of globs have in common."""

from __future__ import annotations

import pytest

from aegis_tui.domain.glob.chars import common_char
from aegis_tui.domain.glob.token import ANY_CHAR, STAR, CharSet, Token

A_TO_C = CharSet(((ord("a"), ord("c")),))


@pytest.mark.parametrize(
    ("one", "other", "common"),
    [
        ("b", "b", "b"),
        ("b", "x", ""),
        ("b", STAR, "b"),
        ("b", A_TO_C, "b"),
        ("x", A_TO_C, ""),
        ("x", ANY_CHAR, "x"),
        ("/", ANY_CHAR, ""),
    ],
)
def test_a_character_stands_for_what_both_accept(one: Token, other: Token, common: str) -> None:
    assert common_char(one, other) == common
    assert common_char(other, one) == common
