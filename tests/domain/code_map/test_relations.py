"""Who calls what: each way in which Python reaches a definition, in a view held in memory."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from aegis_tui.adapters.code_map.reader import SourceReader
from aegis_tui.domain.code_map.facts import FileFacts
from aegis_tui.domain.code_map.language import language_of
from aegis_tui.domain.code_map.relations import Relations, Site
from aegis_tui.domain.code_map.resolve import SymbolPlace

SHOP = """
from .cart import Cart as Basket, make, VERSION
from . import cart, money
import shop.money as m

class Base:
    log: "cart.Log"
    def __init__(self, size): self.size = size
    def run(self): return self.step()
    def step(self): pass
    @classmethod
    def new(cls): return cls(1)
    @property
    def basket(self) -> Basket: return Basket()

class Shop(Base):
    def __init__(self, basket: Basket | None = None):
        super().__init__(2)
        self.mine = make()
        self.other = basket
    def step(self):
        super().step()
        self.mine.total()
        self.other.total()
        self.log.write()
        self.basket.total()
        cart.make().total()
        m.add(1, 2)
        money.nested.Deep.dig()
        def local(): return helper()
        local()

def helper(make=None):
    make()
    with Basket() as basket:
        basket.total()
    for one in []:
        one.unheard_of()
    one.total()

helper()
shop = Shop.new()
Shop(Basket()).run()
"""
CART = """
from .money import *
from .log import Log

VERSION = 1

class Cart:
    def total(self): return add(1, 2)
    def __enter__(self): return self
    def unheard_of(self): pass

def make() -> "Cart":
    return Cart()
"""
FILES = {
    "src/shop/__init__.py": "from .cart import Cart\nfrom .shop import Shop\n",
    "src/shop/shop.py": SHOP,
    "src/shop/cart.py": CART,
    "src/shop/log.py": "class Log:\n    def write(self): pass\n",
    "src/shop/money/__init__.py": "from .coins import add\n",
    "src/shop/money/coins.py": "def add(a, b): return a + b\n",
    "src/shop/money/nested.py": "class Deep:\n    @staticmethod\n    def dig(): pass\n",
    "tests/test_shop.py": (
        "import shop\nfrom shop import Shop\n\ndef test_run():\n    shop.Cart().total()\n    Shop().run()\n"
    ),
    "tests/test_name.py": "from shop.cart import Cart\n\ndef test_it(cart):\n    cart.total()\n",
}


READER = SourceReader()
OTHERS = {
    "web/app.ts": "import {pay as buy} from './bank.js';\nimport * as money from './money';\n"
    "class App {\n  run() { this.stop(); buy(1); money.add(1); other.pay(); }\n  stop() {}\n}\n",
    "web/bank.ts": "export function pay(x: number) { return add(x); }\n",
    "web/money/index.ts": "export function add(x: number) { return x; }\n",
    "go/main.go": 'package main\nimport "example.org/m/go/bank"\nfunc main() { bank.Pay(); help() }\n',
    "go/help.go": "package main\nfunc help() {}\n",
    "go/bank/pay.go": "package bank\nfunc Pay() {}\n",
    "rs/src/lib.rs": "mod bank;\nuse crate::bank::pay;\nfn run() { pay(); bank::nothing(); }\n",
    "rs/src/bank.rs": "pub fn pay() {}\n",
}


class MemoryView:
    """A view of given files."""

    def __init__(self, files: Mapping[str, str]) -> None:
        self._facts = {path: READER.derive(language_of(path), text.encode()) for path, text in files.items()}

    def paths(self) -> list[str]:
        return sorted(self._facts)

    def facts(self, path: str) -> FileFacts | None:
        return self._facts.get(path)

    def mentioning(self, name: str) -> list[str]:
        return [path for path in self.paths() if name in self._facts[path].mentions()]

    def places(self, name: str) -> list[SymbolPlace]:
        return [
            SymbolPlace(path, at)
            for path in self.paths()
            for at, symbol in enumerate(self._facts[path].symbols)
            if symbol.name == name or symbol.name.endswith(f".{name}")
        ]

    def place(self, path: str, name: str) -> SymbolPlace:
        return SymbolPlace(path, [symbol.name for symbol in self._facts[path].symbols].index(name))


@pytest.fixture(scope="module")
def view() -> MemoryView:
    return MemoryView(FILES)


def callers(view: MemoryView, path: str, name: str) -> list[tuple[str, str, bool]]:
    """Caller, call and certainty of each caller in the file shop.py and in tests, in order."""
    sites = Relations(view).callers(view.place(path, name))
    return [(site.caller, site.target, site.certain) for site in sites if site.path == "src/shop/shop.py"]


@pytest.mark.parametrize(
    ("path", "name", "expected"),
    [
        ("src/shop/shop.py", "Base.step", [("Base.run", "self.step", True), ("Shop.step", "super().step", True)]),
        ("src/shop/shop.py", "Base.run", [("", "Shop().run", True)]),
        ("src/shop/shop.py", "Base.new", [("", "Shop.new", True)]),
        ("src/shop/shop.py", "Base.__init__", [("Shop.__init__", "super().__init__", True)]),
        ("src/shop/shop.py", "Shop.__init__", [("", "Shop", True)]),
        ("src/shop/shop.py", "Shop.step.local", [("Shop.step", "local", True)]),
        ("src/shop/shop.py", "helper", [("Shop.step.local", "helper", True), ("", "helper", True)]),
        (
            "src/shop/cart.py",
            "make",
            [("Shop.__init__", "make", True), ("Shop.step", "cart.make", True)],
        ),
        ("src/shop/log.py", "Log.write", [("Shop.step", "self.log.write", True)]),
        ("src/shop/money/coins.py", "add", [("Shop.step", "m.add", True)]),
        ("src/shop/money/nested.py", "Deep.dig", [("Shop.step", "money.nested.Deep.dig", True)]),
        ("src/shop/cart.py", "Cart.unheard_of", [("helper", "one.unheard_of", False)]),
        (
            "src/shop/cart.py",
            "Cart",
            [("Base.basket", "Basket", True), ("helper", "Basket", True), ("", "Basket", True)],
        ),
        (
            "src/shop/cart.py",
            "Cart.total",
            [
                ("Shop.step", "self.mine.total", True),
                ("Shop.step", "self.other.total", True),
                ("Shop.step", "self.basket.total", True),
                ("Shop.step", "cart.make().total", True),
                ("helper", "basket.total", True),
                ("helper", "one.total", False),
            ],
        ),
    ],
)
def test_callers_are_those_that_can_be_read_off(
    view: MemoryView, path: str, name: str, expected: list[tuple[str, str, bool]]
) -> None:
    assert callers(view, path, name) == expected


def test_a_parameter_hides_what_the_module_has_of_that_name(view: MemoryView) -> None:
    assert all(caller != "helper" for caller, _, _ in callers(view, "src/shop/cart.py", "make"))


def test_callees_name_each_definition_once(view: MemoryView) -> None:
    place = view.place("src/shop/shop.py", "Shop.__init__")
    names = [(target.path, line) for target, line in Relations(view).callees(place)]
    assert names == [("src/shop/shop.py", 18), ("src/shop/cart.py", 19)]


def test_importers_are_files_that_import_a_file_directly(view: MemoryView) -> None:
    relations = Relations(view)
    assert relations.importers("src/shop/cart.py") == [
        "src/shop/__init__.py",
        "src/shop/shop.py",
        "tests/test_name.py",
    ]
    assert relations.importers("src/shop/money/nested.py") == []
    assert relations.imports("src/shop/shop.py") == {
        "src/shop/__init__.py",
        "src/shop/cart.py",
        "src/shop/money/__init__.py",
    }


def test_tests_are_those_that_call_or_that_import_and_name_a_definition(view: MemoryView) -> None:
    sites = Relations(view).tests(view.place("src/shop/cart.py", "Cart.total"))
    assert sites == [
        Site("tests/test_name.py", 4, "test_it", "cart.total", False),
        Site("tests/test_shop.py", 5, "test_run", "shop.Cart().total", True),
    ]


@pytest.mark.parametrize(
    ("path", "name", "expected"),
    [
        ("web/bank.ts", "pay", [("web/app.ts", "App.run", "buy")]),
        ("web/money/index.ts", "add", [("web/app.ts", "App.run", "money.add")]),
        ("web/app.ts", "App.stop", [("web/app.ts", "App.run", "this.stop")]),
        ("go/bank/pay.go", "Pay", [("go/main.go", "main", "bank.Pay")]),
        ("go/help.go", "help", [("go/main.go", "main", "help")]),
        ("rs/src/bank.rs", "pay", [("rs/src/lib.rs", "run", "pay")]),
    ],
)
def test_callers_in_other_languages_follow_imports_and_packages(
    path: str, name: str, expected: list[tuple[str, str, str]]
) -> None:
    view = MemoryView(OTHERS)
    sites = Relations(view).callers(view.place(path, name))
    assert [(site.path, site.caller, site.target) for site in sites if site.certain] == expected


def test_names_that_lead_in_a_circle_have_no_answer() -> None:
    files = {
        "a.py": "from b import x\nclass A(A): pass\ndef f(y: y): y.g()\nx()\nA().h()\ny = y()\ny.g()\n",
        "b.py": "from a import x\nfrom a import *\n",
    }
    view = MemoryView(files)
    facts = view.facts("a.py")
    assert facts is not None
    relations = Relations(view)
    assert [relations.target("a.py", call) for call in facts.calls] == [
        *(None, None, None, view.place("a.py", "A"), None, None),
    ]


RECEIVERS = """
class Shop:
    def __init__(self, parts):
        for cls, size in parts:
            cls(size)
    def again(self):
        cls = type(self)
        return cls([])
    @classmethod
    def new(cls): return cls([])
"""


def test_a_variable_that_is_only_named_cls_is_not_the_own_class() -> None:
    view = MemoryView({"shop.py": RECEIVERS})
    facts, relations = view.facts("shop.py"), Relations(view)
    assert facts is not None
    reached = [call.line for call in facts.calls if relations.target("shop.py", call) == view.place("shop.py", "Shop")]
    assert reached == [8, 10]
