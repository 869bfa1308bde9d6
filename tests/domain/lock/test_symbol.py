from __future__ import annotations

import pytest

from aegis_tui.domain.lock.region import Hunk
from aegis_tui.domain.lock.symbol import IMPORTS, MODULE, Definition, build_outline, hull

OUTLINE = build_outline(
    [
        Definition(IMPORTS, "imports", (1, 2)),
        Definition("f", "function", (4, 6), "(a)"),
        Definition("A", "class", (8, 20)),
        Definition("A.run", "method", (10, 12), "(self)"),
        Definition("A.stop", "method", (14, 15), "(self)"),
        Definition("f", "function", (22, 23), "(a, b)"),
        Definition("A.late", "method", (30, 31), "(self)"),
    ],
    31,
)


def test_what_has_one_name_is_one_symbol_and_what_is_below_belongs_to_it() -> None:
    assert {name: symbol.spans for name, symbol in OUTLINE.symbols.items()} == {
        IMPORTS: ((1, 2),),
        "f": ((4, 6), (22, 23)),
        "A": ((8, 20), (30, 31)),
        "A.run": ((10, 12),),
        "A.stop": ((14, 15),),
        "A.late": ((30, 31),),
        MODULE: ((3, 3), (7, 7), (21, 21), (24, 29)),
    }


def test_what_stands_before_the_first_symbol_belongs_to_the_module() -> None:
    outline = build_outline([Definition("f", "function", (2, 3))], 3)
    assert outline.symbols[MODULE].spans == ((1, 1),)


def test_a_signature_hash_follows_the_signature_and_not_its_spaces() -> None:
    def hash_of(signature: str) -> str:
        symbol = build_outline([Definition("f", "function", (1, 1), signature)], 1).find("f")
        assert symbol is not None
        return symbol.signature_hash

    assert hash_of("(a,  b)") == hash_of("(a, b)") != hash_of("(a, c)")


@pytest.mark.parametrize(
    ("hunks", "name"),
    [
        ([Hunk(5, 1, 1)], "f"),
        ([Hunk(7, 0, 2)], "f"),
        ([Hunk(11, 1, 0)], "A.run"),
        ([Hunk(11, 1, 0), Hunk(14, 1, 1)], "A"),
        ([Hunk(17, 1, 1)], "A"),
        ([Hunk(1, 1, 1)], IMPORTS),
        ([Hunk(25, 1, 1)], MODULE),
        ([Hunk(5, 1, 1), Hunk(25, 1, 1)], None),
        ([Hunk(5, 1, 1), Hunk(22, 1, 1)], "f"),
        ([], None),
    ],
)
def test_a_change_lies_in_the_smallest_symbol_around_all_of_it(hunks: list[Hunk], name: str | None) -> None:
    found = OUTLINE.enclosing(hunks)
    assert (found.name if found else None) == name


def test_a_change_over_several_symbols_lies_in_the_lines_it_touches() -> None:
    assert hull([Hunk(5, 2, 1), Hunk(14, 2, 9)], 31) == (5, 15)
    assert hull([Hunk(32, 0, 1)], 31) == (31, 31)
    assert hull([Hunk(9, 0, 1, slack=2)], 31) == (7, 9)


def test_a_wrong_name_finds_its_likely_ones() -> None:
    assert OUTLINE.nearest("B.run")[0] == "A.run"
    assert "A.stop" in OUTLINE.nearest("A.stp")
    assert OUTLINE.nearest("zzzzzzzz") == []
