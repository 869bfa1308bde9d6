"""Questions to the code map of a real repository: answers hold for the files as they are now."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aegis_tui.adapters.code_map.reader import SourceReader
from aegis_tui.adapters.code_map.store import SqliteMapStore
from aegis_tui.adapters.code_map.tags import SqliteTags
from aegis_tui.adapters.git.content import WorktreeFiles
from aegis_tui.application.code_map import CodeMap
from aegis_tui.errors import UsageError
from aegis_tui.ports.code_map import StoredTag, TagUse
from tests.repository import make_repository

FILES = {
    "README.md": "# Shop\n\n```\n# no heading\n```\n\n## How to `pay` ##\n",
    "src/shop/__init__.py": '"""A small shop."""\n',
    "src/shop/cart.py": '''"""The cart."""
from shop.money import add

LIMIT = 9


class Cart:
    """What a customer will buy."""

    def total(self, tax: int = 0) -> int:
        """Sum up the prices."""
        return add(1, tax)

    def _hidden(self): pass
''',
    "src/shop/money.py": "def add(a, b):\n    return a + b\n",
    "tests/test_cart.py": "from shop.cart import Cart\n\ndef test_total():\n    assert Cart().total() == 1\n",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "repo", FILES)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteMapStore]:
    opened = SqliteMapStore(tmp_path / "map.db")
    yield opened
    opened.close()


@pytest.fixture
def code_map(root: Path, store: SqliteMapStore) -> CodeMap:
    opened = CodeMap(WorktreeFiles(root), store, SourceReader())
    opened.refresh()
    return opened


def shown(code_map: CodeMap, *asked: Any) -> Any:
    """A file or a folder; its fields are compared, not its type."""
    return code_map.show(*asked)


def test_only_what_is_new_is_derived(code_map: CodeMap, root: Path, store: SqliteMapStore) -> None:
    assert code_map.refreshed is not None
    assert (code_map.refreshed["files"], code_map.refreshed["derived"]) == (5, 5)
    assert code_map.refresh()["derived"] == 0
    (root / "src/shop/money.py").write_text("def add(a, b):\n    return a + b\n\ndef sub(a, b): ...\n")
    (root / "copy.py").write_text(FILES["src/shop/cart.py"])
    answer = code_map.refresh()
    assert (answer["files"], answer["derived"], answer["changed"]) == (6, 1, ["copy.py", "src/shop/money.py"])
    assert [row["path"] for row in code_map.find("sub")["symbols"]] == ["src/shop/money.py"]
    assert store.disagreements() == []


def test_worktrees_share_what_they_have_in_common(code_map: CodeMap, root: Path, store: SqliteMapStore) -> None:
    subprocess.run(["git", "worktree", "add", "-q", "--detach", "../other"], cwd=root, check=True, timeout=20)
    other = CodeMap(WorktreeFiles(root.parent / "other"), store, SourceReader())
    assert other.refresh()["derived"] == 0
    (root.parent / "other/src/shop/money.py").unlink()
    assert other.refresh()["changed"] == ["src/shop/money.py"]
    assert other.find("add")["symbols"] == []
    code_map.refresh()
    assert len(code_map.find("add")["symbols"]) == 1


def test_an_answer_names_its_tree_and_what_has_changed_since(code_map: CodeMap, root: Path) -> None:
    tree = subprocess.run(["git", "rev-parse", "HEAD^{tree}"], cwd=root, check=True, capture_output=True, text=True)
    answer = code_map.find("Cart")
    assert (answer["tree"], answer["seq"], answer["changed"], answer["stale"]) == (tree.stdout.strip(), 1, [], [])
    (root / "src/shop/cart.py").write_text("x = 1\n")
    assert code_map.find("Cart")["stale"] == ["src/shop/cart.py"]
    assert code_map.find("add")["stale"] == []


def test_a_symbol_is_found_by_its_name_or_path_and_name(code_map: CodeMap) -> None:
    (row,) = code_map.find("Cart.total")["symbols"]
    assert row == {
        "path": "src/shop/cart.py",
        "name": "Cart.total",
        "kind": "method",
        "line": 10,
        "first": 10,
        "last": 12,
        "signature": "def total(self, tax: int = 0) -> int",
        "doc": "Sum up the prices.",
    }
    assert code_map.find("src/shop/cart.py:total")["symbols"] == [row]
    assert code_map.find("tests/test_cart.py:total")["symbols"] == []


def test_a_file_is_shown_as_outline_signatures_or_body(code_map: CodeMap) -> None:
    outline = shown(code_map, "src/shop/cart.py", "outline")
    assert outline["text"] == "7: class Cart\n10:   def total(self, tax: int = 0) -> int"
    signatures = shown(code_map, "src/shop/cart.py")["text"].splitlines()
    assert signatures == [
        "1: # The cart.",
        "2: import shop.money: add",
        "4: LIMIT = 9",
        "7: class Cart  # What a customer will buy.",
        "10:   def total(self, tax: int = 0) -> int  # Sum up the prices.",
        "14:   def _hidden(self)",
    ]
    body = shown(code_map, "src/shop/cart.py:Cart.total", "body")
    assert body["text"].splitlines()[0] == "    def total(self, tax: int = 0) -> int:"
    assert (body["lines"], body["pointers"], body["symbol"]) == ([10, 12], ["src/shop/money.py:add"], "Cart.total")
    assert shown(code_map, "src/shop/money.py", "body")["text"] == FILES["src/shop/money.py"].rstrip("\n")
    assert shown(code_map, "README.md")["text"] == "1: # Shop\n7: ## How to `pay`"


def test_the_repository_is_walked_from_folder_to_symbol(code_map: CodeMap) -> None:
    top = shown(code_map, ".")
    assert top["doc"] == "Shop"
    assert top["folders"] == [
        {"path": "src", "files": 3, "doc": "", "holds": ["shop/"]},
        {"path": "tests", "files": 1, "doc": "", "holds": ["test_cart.py"]},
    ]
    assert shown(code_map, "src")["folders"] == [
        {"path": "src/shop", "files": 3, "doc": "A small shop.", "holds": ["cart.py", "money.py"]}
    ]
    assert shown(code_map, "src/shop")["doc"] == "A small shop."
    assert [row["path"] for row in top["files"]] == ["README.md"]
    rows = {row["path"]: row for row in shown(code_map, "src/shop/")["files"]}
    assert rows["src/shop/cart.py"] == {
        "path": "src/shop/cart.py",
        "lines": 14,
        "defines": ["Cart"],
        "doc": "The cart.",
    }


MANY = "".join(
    f"def caller_{number}(value):\n    return add(value, {number})  # {'x' * 60}\n\n\n" for number in range(60)
)


def test_callers_come_with_what_is_needed_to_change_the_calls(code_map: CodeMap, root: Path) -> None:
    answer = code_map.callers("src/shop/money.py:add")
    assert [(row["signature"], row["code"]) for row in answer["definitions"]] == [
        ("def add(a, b)", "def add(a, b):\n    return a + b")
    ]
    (site,) = answer["sites"]
    assert site["signature"] == "def total(self, tax: int = 0) -> int"
    assert (site["code_line"], site["code"].splitlines()) == (
        10,
        FILES["src/shop/cart.py"].splitlines()[9:12],
    )
    (root / "src/shop/cart.py").write_text(FILES["src/shop/cart.py"].replace("add(1, tax)", "add(\n  2,\n  tax)"))
    code_map.refresh()
    (changed,) = code_map.callers("add")["sites"]
    assert changed["code"].endswith("return add(\n  2,\n  tax)")


def test_code_of_callers_is_limited_and_tests_come_last(code_map: CodeMap, root: Path) -> None:
    (root / "src/aaa").mkdir()
    (root / "src/aaa/test_many.py").write_text("from shop.money import add\n\n\n" + MANY)
    code_map.refresh()
    sites = code_map.callers("add")["sites"]
    assert len(sites) == 61
    assert 3_500 < sum(len(site["code"]) for site in sites) <= 4_000
    assert (sites[-1]["path"], sites[-1]["code"] != "") == ("src/shop/cart.py", True)
    assert [site["code"] != "" for site in sites[:60]] == sorted(
        (site["code"] != "" for site in sites[:60]), reverse=True
    )


def test_a_long_definition_is_named_without_its_code(code_map: CodeMap, root: Path) -> None:
    (root / "src/shop/money.py").write_text("def add(a, b):\n" + "    a += 1\n" * 40 + "    return a + b\n")
    code_map.refresh()
    answer = code_map.callers("add")
    assert [(row["last"], row["code"]) for row in answer["definitions"]] == [(42, "")]
    assert answer["sites"][0]["code"]


def test_calls_that_stand_together_are_shown_once(code_map: CodeMap, root: Path) -> None:
    (root / "src/shop/pair.py").write_text(
        "from shop.money import add\n\n\ndef both():\n    add(1, 2)\n    add(3, 4)\n"
    )
    code_map.refresh()
    one, other = (site for site in code_map.callers("add")["sites"] if site["caller"] == "both")
    assert (one["code"], other["code"]) == ("def both():\n    add(1, 2)\n    add(3, 4)", "")


def test_a_file_that_git_and_the_worktree_have_no_more_has_no_code(code_map: CodeMap, root: Path) -> None:
    (root / "src/shop/new.py").write_text("from shop.money import add\n\n\ndef new():\n    add(1, 2)\n")
    code_map.refresh()
    (root / "src/shop/cart.py").write_text("# gone\n")
    (root / "src/shop/new.py").unlink()
    answer = code_map.callers("add")
    assert answer["stale"] == ["src/shop/cart.py", "src/shop/new.py"]
    assert [site["code"] != "" for site in answer["sites"]] == [True, True]


def test_relations_go_both_ways(code_map: CodeMap) -> None:
    (site,) = code_map.callers("add")["sites"]
    assert (site["path"], site["line"], site["caller"], site["certain"]) == ("src/shop/cart.py", 12, "Cart.total", True)
    (callee,) = code_map.callees("Cart.total")["symbols"]
    assert (callee["path"], callee["name"], callee["called_at"]) == ("src/shop/money.py", "add", 12)
    assert [site["caller"] for site in code_map.tests("Cart.total")["sites"]] == ["test_total"]
    assert code_map.impact("src/shop/cart.py")["dependents"] == [
        {"path": "tests/test_cart.py", "calls": ["Cart at 4", "Cart.total at 4"], "is_test": True}
    ]
    assert [row["path"] for row in code_map.impact("src/shop/money.py:add")["dependents"]] == ["src/shop/cart.py"]


def test_a_search_finds_words_first_and_then_similar_spellings(code_map: CodeMap) -> None:
    assert code_map.search("sum of prices")["symbols"][0]["name"] == "Cart.total"
    assert code_map.search("customers buying")["symbols"][0]["name"] == "Cart"
    assert code_map.search("totalling")["symbols"][0]["name"] == "Cart.total"
    assert code_map.search("xyzzy")["symbols"] == []


@pytest.mark.parametrize(
    "place", ["nothing.py", "src/shop/cart.py:nothing", "nothing/", "../etc/passwd", "/etc/passwd"]
)
def test_what_is_not_in_the_map_is_refused(code_map: CodeMap, place: str) -> None:
    with pytest.raises(UsageError):
        shown(code_map, place, "body")


def test_the_status_counts_and_checks(code_map: CodeMap) -> None:
    status = code_map.status(checks=True)
    assert status["languages"] == {"markdown": 1, "python": 4}
    assert (status["files"], status["blobs"], status["disagreements"]) == (5, 5, [])
    assert "disagreements" not in code_map.status(checks=False)


def test_what_a_model_wrote_is_shown_marked_beside_what_has_no_documentation(
    code_map: CodeMap, root: Path, store: SqliteMapStore
) -> None:
    oid = WorktreeFiles(root).listing().files["src/shop/money.py"]
    rows = [StoredTag(oid, "add", 1, "c", "Adds two sums in cents.", "tiny")]
    SqliteTags(store).put_tags(rows, TagUse(1, 9), hour=1)
    shown_file = shown(code_map, "src/shop/money.py")
    assert shown_file["text"] == "1: def add(a, b)  # machine-made: Adds two sums in cents."
    assert shown(code_map, "src/shop/money.py:add", "body")["machine_doc"] == "Adds two sums in cents."
    assert "machine-made" not in shown(code_map, "src/shop/money.py", "body")["text"]
    assert code_map.find("add")["symbols"][0]["machine_doc"] == "Adds two sums in cents."
    assert code_map.find("add")["symbols"][0]["doc"] == ""
    assert "machine_doc" not in code_map.find("total")["symbols"][0]
    assert code_map.callees("Cart.total")["symbols"][0]["machine_doc"] == "Adds two sums in cents."
    assert code_map.status(checks=True)["tags"] == 1
    assert [row["name"] for row in code_map.search("cents")["symbols"]] == ["add"]
    assert code_map.search("%_")["symbols"] == []
    (root / "src/shop/money.py").write_text("def add(a, b):\n    return a - b\n")
    code_map.refresh()
    assert "machine_doc" not in code_map.find("add")["symbols"][0]
