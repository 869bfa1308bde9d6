"""How a file has to do with others: which of them imports it, or is imported by it (AGENT-6)."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from aegis_tui.adapters.code_map.reader import SourceReader
from aegis_tui.agent.files import OwnWorktree
from aegis_tui.agent.git import Git
from aegis_tui.agent.pointers import Pointers
from tests.repository import make_repository

FILES = {
    "shop/__init__.py": "",
    "shop/money.py": "def rounded(sum): return sum\n",
    "shop/cart.py": "from shop.money import rounded\n",
    "shop/page.py": "import shop.cart\n",
    "notes.md": "# shop.money\n",
}


@pytest.fixture
def pointers(tmp_path: Path) -> Pointers:
    root = make_repository(tmp_path / "repo", FILES)
    return Pointers(OwnWorktree(root), Git(root), SourceReader())


@pytest.mark.parametrize(
    ("path", "known", "relation"),
    [
        ("shop/money.py", ["shop/cart.py"], "shop/cart.py imports rounded from it"),
        ("shop/cart.py", ["notes.md", "shop/page.py"], "shop/page.py imports it"),
        ("shop/page.py", ["shop/cart.py"], "it imports shop/cart.py"),
        ("shop/page.py", ["shop/money.py"], ""),
        ("shop/money.py", ["notes.md", "gone.py", "../out.py"], ""),
        ("gone.py", ["shop/cart.py"], ""),
        ("../out.py", ["shop/cart.py"], ""),
        ("notes.md", ["shop/cart.py"], ""),
    ],
)
def test_a_relation_is_an_import_in_one_direction_or_the_other(
    pointers: Pointers, path: str, known: list[str], relation: str
) -> None:
    assert asyncio.run(pointers.relation(path, known)) == relation


def test_a_relation_is_that_of_the_files_as_they_are_now(pointers: Pointers, tmp_path: Path) -> None:
    async def scenario() -> None:
        assert await pointers.relation("shop/money.py", ["shop/page.py"]) == ""
        (tmp_path / "repo" / "shop" / "page.py").write_text("from shop import money\n")
        assert await pointers.relation("shop/money.py", ["shop/page.py"]) == "shop/page.py imports it"

    asyncio.run(scenario())
