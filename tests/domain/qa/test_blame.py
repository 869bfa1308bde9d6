from __future__ import annotations

from aegis_tui.domain.qa.blame import blame
from aegis_tui.domain.scope.partition import PartitionTable

CHANGED = {"cart": ("src/shop/cart.py",), "search": ("src/shop/search/한글.py",), "foundation": ("src/base.py",)}


def table(**globs: tuple[str, ...]) -> PartitionTable:
    found = PartitionTable(ignore_case=False)
    for name, owned in globs.items():
        found.set(name, owned)
    return found


DESIGNED = table(
    cart=("src/shop/cart.py", "tests/test_cart.py"), search=("src/shop/search/**",), foundation=("src/**",)
)


def test_a_failure_is_blamed_on_the_piece_whose_files_it_names() -> None:
    assert blame(DESIGNED, ['  File "/scratch/run1/src/shop/cart.py", line 3, in total'], CHANGED) == ["cart"]
    assert blame(DESIGNED, ["src/shop/search/한글.py:3: TypeError"], CHANGED) == ["search"]
    assert blame(DESIGNED, ["tests/test_cart.py::test_total"], CHANGED) == ["cart"]
    assert blame(DESIGNED, ["somewhere else", "src/base.py:1"], CHANGED) == []


def test_the_piece_that_is_named_most_often_comes_first() -> None:
    assert blame(DESIGNED, ["src/shop/search/한글.py src/shop/cart.py", "./src/shop/cart.py"], CHANGED) == [
        "cart",
        "search",
    ]


def test_a_path_that_was_given_to_another_piece_since_the_design_is_that_ones() -> None:
    moved = table(cart=("src/shop/cart.py",), search=("src/shop/search/**", "tests/test_cart.py"))
    assert blame(moved, ["tests/test_cart.py::test_total"], CHANGED) == ["search"]
