"""A file in as few tokens as possible (MAP-3)."""

from __future__ import annotations

from aegis_tui.adapters.code_map.reader import SourceReader
from aegis_tui.domain.code_map.brief import render_brief

PYTHON = '''"""Keeps carts. For the shop."""

import os
from collections.abc import Mapping
from shop.money import Price, round_up
from . import prices

LIMIT = 3
OTHER: int = 4


@decorated
class Cart(Base):
    """A cart of a person, with all of what they want to buy some day or other."""

    size: int = 0
    owner = None

    def total(self, prices: Mapping[str, Price]) -> Price:
        """Sum up. Slowly."""
        def inner(): ...

    async def _load(self) -> None: ...

    def __len__(self) -> int: ...


def make(*names: str, **more) -> Cart: ...
'''


def test_signatures_have_all_but_bodies_and_line_numbers() -> None:
    assert render_brief(SourceReader().derive("python", PYTHON.encode()), "signatures").splitlines() == [
        "# Keeps carts.",
        "imports shop.money: Price, round_up; .: prices",
        "LIMIT, OTHER",
        "class Cart(Base)  # A cart of a person, with all of what they want to…",
        " size, owner",
        " total(prices: Mapping[str, Price]) -> Price  # Sum up.",
        " async _load()",
        " __len__() -> int",
        "make(*names: str, **more) -> Cart",
    ]


def test_an_outline_has_public_definitions_only() -> None:
    assert render_brief(SourceReader().derive("python", PYTHON.encode()), "outline").splitlines() == [
        "class Cart(Base)",
        " total(prices: Mapping[str, Price]) -> Price",
        "make(*names: str, **more) -> Cart",
    ]


def test_other_languages_keep_their_signatures() -> None:
    source = b'import { a } from "./b";\nexport class Shop extends Base {\n  open(x: number): void {}\n}\n'
    assert render_brief(SourceReader().derive("typescript", source), "signatures").splitlines() == [
        "imports ./b: a",
        "class Shop extends Base",
        " open(x: number): void",
    ]
    heading = SourceReader().derive("markdown", b"# Shop v1.2\n\n## Use\n")
    assert render_brief(heading, "outline") == "# Shop v1.2\n## Use"


def test_a_file_that_defines_nothing_gives_nothing() -> None:
    assert render_brief(SourceReader().derive("python", b'"""Only words."""\nimport shop\n'), "signatures") == ""
    assert render_brief(SourceReader().derive("text", b"words\n"), "outline") == ""
