"""What briefs say about the code around a partition and about a repository, within their budgets (MAP-3)."""

from __future__ import annotations

from aegis_tui.adapters.code_map.python import python_facts
from aegis_tui.domain.code_map.around import (
    AROUND_CHARS,
    OUTLINE_CHARS,
    Neighbour,
    OutlineFile,
    around_text,
    outline_text,
)

CART = python_facts(
    b'class Cart:\n    """All that is bought."""\n\n    def add(self, item: str) -> None: ...\n\n'
    b"    def _check(self): ...\n\ndef pay(cart): ...\n\nLIMIT = 3\n"
)


def test_of_an_imported_file_only_the_names_that_are_taken_are_shown_with_what_is_public_in_them() -> None:
    text = around_text([Neighbour("shop/cart.py", CART, ("Cart", "LIMIT"), 2)], [])
    assert text.splitlines() == [
        "Your partition imports (signatures):",
        "shop/cart.py",
        "  class Cart  # All that is bought.",
        "   add(item: str)",
        "  LIMIT",
    ]


def test_of_an_importing_file_the_outline_is_shown_and_of_a_test_only_what_it_uses() -> None:
    importers = [
        Neighbour("tests/test_page.py", CART, ("Page",), 1),
        Neighbour("shop/cart.py", CART, ("Page", "show"), 1),
    ]
    assert around_text([], importers).splitlines() == [
        "It is imported by, so a change of its names concerns (signatures):",
        "shop/cart.py (uses Page, show)",
        "  class Cart",
        "   add(item: str)",
        "  pay(cart)",
        "tests/test_page.py (uses Page)",
    ]
    assert around_text([], []) == ""


def test_the_text_stays_within_its_budget_and_names_what_found_no_place() -> None:
    many = [Neighbour(f"shop/part{at}.py", CART, (), at) for at in range(300)]
    text = around_text(many, many)
    assert len(text) <= AROUND_CHARS
    assert text.splitlines()[1] == "shop/part299.py"
    assert text.count("also: ") == 2 and " more" in text


def test_an_outline_of_a_repository_begins_with_what_others_import_and_stays_within_its_budget() -> None:
    files = [
        OutlineFile("shop/page.py", 400, 0),
        OutlineFile("shop/cart.py", 20, 5),
        OutlineFile("setup.py", 3, 0),
        OutlineFile("tests/test_cart.py", 30, 0),
    ]
    text = outline_text(
        files, lambda path: ["Cart"] if "cart" in path else [], lambda folder: {"shop": "A shop."}.get(folder, "")
    )
    assert text.splitlines() == [
        "The repository's code, files that others import first:",
        "./",
        "  setup.py (3 lines): no public names",
        "shop/ - A shop.",
        "  cart.py (20 lines): Cart",
        "  page.py (400 lines): no public names",
        "Besides: 1 file of tests.",
    ]
    many = [OutlineFile(f"a{at}/b{at}.py", at, 0) for at in range(4_000)]
    text = outline_text(many, lambda path: [f"name{at}" for at in range(30)], lambda folder: "doc " * 50)
    assert len(text) <= OUTLINE_CHARS
    assert "18 more" in text and "also: " in text
    assert outline_text([], lambda path: [], lambda folder: "") == ""
