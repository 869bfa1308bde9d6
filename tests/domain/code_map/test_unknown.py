"""Names that nothing defines are found, and no others (item by item, and on installed packages as a whole)."""

from __future__ import annotations

from importlib.metadata import distribution
from pathlib import Path

import pytest

from aegis_tui.domain.code_map.unknown import ChangedFile, check_names, wanted_modules

TREE = {
    "src/shop/__init__.py": "from shop.cart import Cart\n",
    "src/shop/cart.py": "class Cart:\n    pass\n\ndef total(cart): return 0\n\nRATE = 3\n",
    "src/shop/lazy.py": "def __getattr__(name): ...\n",
    "src/shop/all.py": "from shop.cart import *\n",
    "src/shop/types.py": "",
    "scripts/re.py": "",
    "src/tools/space/inner.py": "def run(): ...\n",
}
ROOTS = {"httpx"}


def unknown(text: str, path: str = "src/shop/new.py") -> list[tuple[int, str]]:
    files = [ChangedFile(path, text, frozenset(range(1, text.count("\n") + 2)))]
    paths = [*TREE, path]
    texts = {name: TREE.get(name, text) for name in wanted_modules(files, paths)}
    return [(item.line, item.name) for item in check_names(files, paths, texts, ROOTS).unknown]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("from shop.cart import Basket\n", "shop.cart.Basket"),
        ("from .cart import Basket\n", ".cart.Basket"),
        ("from . import basket\n", "..basket"),
        ("import shop.basket\n", "shop.basket"),
        ("from shop import cart\nx = cart.sum_up()\n", "cart.sum_up"),
        ("import shop.cart as c\nx = c.sum_up()\n", "c.sum_up"),
        ("from shop.cart import _private\n", "shop.cart._private"),
        ("import reqeusts\n", "reqeusts"),
        ("from httpy import get\n", "httpy.get"),
        ("def f(a):\n    return a + undefinde\n", "undefinde"),
    ],
)
def test_a_name_that_nothing_defines_is_found(text: str, name: str) -> None:
    assert [unknown_name for _, unknown_name in unknown(text)] == [name]


@pytest.mark.parametrize(
    "text",
    [
        "from shop.cart import Cart, total, RATE\n",
        "from shop import Cart as Own, cart, lazy\nprint(Own, cart.total, lazy.any)\n",
        "import types, abc\nprint(types.TracebackType, abc.ABC)\n",
        "import os.path, sys, httpx\nfrom collections import abc\nprint(os.sep, __file__, abc)\n",
        "try:\n    import tomllib2\nexcept ImportError:\n    tomllib2 = None\n",
        "from shop.all import Cart, total\nfrom shop.lazy import whatever\n",
        "from tools.space.inner import run\nimport tools.space.inner\n",
        "from shop.cart import *\nprint(anything)\n",
        "match {}:\n    case {'a': a, **rest} if (b := a):\n        print(a, b, rest)\n",
        "match []:\n    case [first, *more] as whole:\n        print(first, whole, more)\n",
        "def f(*args, **more):\n    global later\n    later = [*args]\n    return lambda z: more\n\nprint(later)\n",
        "from shop import cart\ndef f(cart):\n    return cart.anything\n",
        "import contextlib\nwith contextlib.suppress(ImportError):\n    import fastjson\n",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from _typeshed import Incomplete\nimport __main__\n",
        "import re\nimport re as words\nprint(re.compile, words.compile)\n",
        "from shop import _speedups\nfrom ._version import version\nfrom shop.cart_pb2 import Cart\n",
        "if 1:\n    from shop import lazy as a\nelse:\n    from shop import cart as a\nglobals()\nprint(a.any)\n",
        "print(_('words'), WindowsError)\n",
        "not python at all(\n",
    ],
)
def test_what_is_known_or_uncertain_is_not_reported(text: str) -> None:
    assert unknown(text) == []


def test_only_added_lines_count() -> None:
    text = "x = one\ny = two\n"
    seen = check_names([ChangedFile("a.py", text, frozenset({2}))], ["a.py"], {}, set())
    assert [(item.line, item.name) for item in seen.unknown] == [(2, "two")]
    assert seen.used == 1


@pytest.mark.parametrize("name", ["click", "httpx", "typer"])
def test_packages_that_work_have_no_unknown_names(name: str) -> None:
    """Each file of a package as if it were new; what they import from elsewhere is known."""
    package = distribution(name)
    places = {str(file): Path(str(file.locate())) for file in package.files or () if file.suffix == ".py"}
    texts = {path: place.read_text("utf-8") for path, place in places.items() if "__pycache__" not in path}
    files = [ChangedFile(path, text, frozenset(range(1, 100_000))) for path, text in texts.items()]
    first_words = (["import"], ["from"])
    lines = [line for text in texts.values() for line in text.splitlines()]
    outside = {line.split()[1].partition(".")[0] for line in lines if line.split()[:1] in first_words}
    seen = check_names(files, list(texts), texts, outside - {name})
    assert seen.used > 1_000
    assert list(map(str, seen.unknown)) == []
