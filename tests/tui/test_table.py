from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from aegis_tui.tui.table import Misfit, read_table


class _Leaf(NamedTuple):
    name: str
    size: int = 1


class _Tree(NamedTuple):
    leaves: tuple[_Leaf, ...]
    tall: bool = False


def test_a_table_becomes_what_its_class_says_with_defaults_for_what_is_left_out() -> None:
    table = {"leaves": [{"name": "a"}, {"name": "b", "size": 3}]}
    assert read_table(_Tree, table, least={}) == _Tree((_Leaf("a"), _Leaf("b", 3)))


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"leaves": []}, r"^leaves: .*one item"),
        ({"leaves": "a"}, r"^leaves: .*list"),
        ({"leaves": [{}]}, r"^leaves\.0\.name: is missing"),
        ({"leaves": ["a"]}, r"^leaves\.0: .*table"),
        ({"leaves": [{"name": "a"}, {"name": "b", "size": 1.5}]}, r"^leaves\.1\.size: .*whole number"),
        ({"leaves": [{"name": "a", "size": True}]}, r"^leaves\.0\.size: .*whole number"),
        ({"leaves": [{"name": "a", "size": 0}]}, r"^leaves\.0\.size: .*at least 1"),
        ({"leaves": [{"name": 5}]}, r"^leaves\.0\.name: .*string"),
        ({"leaves": [{"name": "a"}], "tall": "yes"}, r"^tall: .*true or false"),
        ({"leaves": [{"name": "a"}], "wide": True}, r"^wide: there is no such field"),
    ],
)
def test_what_does_not_fit_is_told_with_its_place(table: dict[str, Any], words: str) -> None:
    with pytest.raises(Misfit, match=words):
        read_table(_Tree, table, least={"size": 1})
