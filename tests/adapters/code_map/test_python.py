"""Facts of Python source: all definitions that Python itself finds, calls, imports, bindings."""

from __future__ import annotations

import ast
import importlib.util
from pathlib import Path

import pytest

from aegis_tui.adapters.code_map.python import python_facts
from aegis_tui.domain.code_map.facts import MODULE_SCOPE, Binding, Import, pack_facts, unpack_facts

SOURCE = b'''"""What the module does.

More."""
import os.path
import json as j
from ..shop import Cart as C, pay
from . import *

LIMIT: int = 3


@deco
class A(B, Generic[T]):
    """A class."""

    size = 1

    def __init__(self, cart: C) -> None:
        self.cart = C()

    @property
    def m(self, x: int = f()) -> "A | None":
        def inner():
            return self.cart.total()
            # a comment that is no statement
        return make(x).run(inner)

    async def n(self):
        async with open_it() as handle:
            await handle.read()
            (lambda: 1)()
'''


def definitions_of(source: bytes) -> list[tuple[int, int | None, str]]:
    """Line, last line and name of every function and class, by Python's own parser."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, kinds)]
    return sorted((node.lineno, node.end_lineno, node.name) for node in nodes)


@pytest.mark.parametrize("package", ["httpx", "click", "starlette"])
def test_every_function_and_class_of_a_public_source_tree_has_the_lines_that_python_gives_it(package: str) -> None:
    spec = importlib.util.find_spec(package)
    assert spec is not None and spec.origin is not None
    files = sorted(Path(spec.origin).parent.rglob("*.py"))
    assert len(files) > 10
    for file in files:
        source = file.read_bytes()
        mine = sorted(
            (symbol.line, symbol.last, symbol.name.rpartition(".")[2])
            for symbol in python_facts(source).symbols
            if symbol.kind in ("class", "function", "method")
        )
        assert mine == definitions_of(source), file.name


def test_a_signature_has_no_comments() -> None:
    source = b'def f(\n    a,  # the first\n    b="# no comment",\n) -> int:  # noqa\n    # more\n    return 1\n'
    assert [symbol.signature for symbol in python_facts(source).symbols] == ['def f( a, b="# no comment", ) -> int']


def test_symbols_have_kind_signature_documentation_bases_and_returns() -> None:
    facts = python_facts(SOURCE)
    by_name = {symbol.name: symbol for symbol in facts.symbols}
    assert [symbol.name for symbol in facts.symbols] == [
        *("A", "A.__init__", "A.m", "A.m.inner", "A.n", "LIMIT", "A.size", ""),
    ]
    assert by_name["A"][1:] == ("class", 12, 13, 31, "class A(B, Generic[T])", "A class.", ("B", "Generic"), "")
    assert by_name["A.m"][1:6] == ("method", 21, 22, 26, 'def m(self, x: int = f()) -> "A | None"')
    assert (by_name["A.m"].returns, by_name["A.m.inner"].kind) == ('"A | None"', "function")
    assert by_name["A.m.inner"].last == 24
    assert by_name["LIMIT"].signature == "LIMIT: int = 3"
    assert by_name[""].doc == "What the module does."
    assert facts.lines == 31


def test_calls_say_where_they_stand_and_what_is_called() -> None:
    facts = python_facts(SOURCE)
    names = [symbol.name for symbol in facts.symbols]
    calls = [(call.line, names[call.scope] if call.scope >= 0 else "", call.target) for call in facts.calls]
    assert calls == [
        (12, "", "deco"),
        (19, "A.__init__", "C"),
        (21, "A", "property"),
        (22, "A.m", "f"),
        (24, "A.m.inner", "self.cart.total"),
        (26, "A.m", "make().run"),
        (26, "A.m", "make"),
        (29, "A.n", "open_it"),
        (30, "A.n", "handle.read"),
        (31, "A.n", "?"),
    ]


def test_imports_keep_their_dots_and_their_names_here() -> None:
    assert python_facts(SOURCE).imports == (
        Import(4, MODULE_SCOPE, "os.path", "", "os"),
        Import(5, MODULE_SCOPE, "json", "", "j"),
        Import(6, MODULE_SCOPE, "shop", "Cart", "C", 2),
        Import(6, MODULE_SCOPE, "shop", "pay", "pay", 2),
        Import(7, MODULE_SCOPE, "", "*", "*", 1),
    )


def test_bindings_are_annotations_and_results_of_calls() -> None:
    facts = python_facts(SOURCE)
    assert facts.bindings == (
        Binding(MODULE_SCOPE, "LIMIT", "int"),
        Binding(1, "cart", "C"),
        Binding(1, "self.cart", "=C()"),
        Binding(2, "x", "int"),
        Binding(4, "handle", "=open_it()"),
    )


def test_facts_survive_being_packed() -> None:
    facts = python_facts(SOURCE)
    assert unpack_facts(pack_facts(facts)) == facts
    with pytest.raises(ValueError, match="damaged"):
        unpack_facts(pack_facts(facts)[:-9])


def test_a_file_with_a_syntax_error_gives_what_can_be_read() -> None:
    facts = python_facts(b"def a():\n    return (\n\ndef b():\n    pass\n\xff\xfe = 1\n")
    assert "b" in [symbol.name for symbol in facts.symbols]


def test_a_file_mentions_what_it_calls_imports_and_derives_from() -> None:
    mentions = python_facts(SOURCE).mentions()
    assert {"B", "Generic", "C", "Cart", "pay", "shop", "total", "run", "os", "path", "j", "json"} <= mentions
    assert not mentions & {"A", "LIMIT", "?", "*", ""}


def test_an_empty_file_has_no_lines() -> None:
    assert python_facts(b"").lines == 0
    assert python_facts(b"x = 1").lines == 1
