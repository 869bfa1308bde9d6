"""Outlines of real source in five languages."""

from __future__ import annotations

import subprocess
import sys

import pytest

from aegis_tui.adapters.symbols.reader import MAX_CHARS, FileSymbols
from aegis_tui.domain.lock.symbol import IMPORTS, MODULE

PYTHON = '''"""Doc."""
import a
from b import (
    c,
)

if a:
    import q

    def f(): pass
else:
    def f(): pass


@dec
@dec(2)
class A(B):
    x = 1

    @prop
    async def m(self, y: int) -> int:
        def inner(): pass
        return 1

    class I:
        def n(self): pass
'''
SCRIPT = """import a from 'a';
const x = require('b');

// about A
export default class A {
  m() {}
  #p() {}
  s = () => 1;
  [Symbol.iterator]() {}
}
export async function f() {}
const g = async () => {
  return 1;
};
function* h() {}
"""
TYPED = """import a from 'a';
@dec()
export abstract class A<T> {
  @d()
  m(): void {}
  abstract q(): void;
}
interface I { m(): void }
type U = 1;
enum E { A }
namespace N { export function f() {} }
function z(x: string): void;
function z(x: number): void;
export const g = <T>(x: T) => x;
"""
GO = """package m

import (
\t"a"
)

// T is a type.
// It has a doc.
type T struct{}

type (
\tU int
\tV int
)

func (t *T[X]) M() {}

func F() {
}

var x = 1 // not of G
func G() {}
"""
RUST = """use a::b;
/// A doc.
#[derive(Debug)]
pub struct S {}

impl<T> S<T> {
    #[inline]
    pub fn m(&self) {}
}
impl fmt::Display for S { fn show() {} }
fn g() {}
mod n { pub fn q() {} }
trait T { fn z(); }
macro_rules! mm { () => {} }
"""


def spans_of(path: str, text: str) -> dict[str, tuple[tuple[int, int], ...]]:
    outline = FileSymbols().outline(path, text)
    assert outline is not None
    return {name: symbol.spans for name, symbol in outline.symbols.items()}


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        (
            "a.py",
            PYTHON,
            {
                IMPORTS: ((2, 5), (8, 8)),
                "f": ((10, 10), (12, 12)),
                "A": ((15, 26),),
                "A.m": ((20, 23),),
                "A.I": ((25, 26),),
                "A.I.n": ((26, 26),),
                MODULE: ((1, 1), (6, 7), (9, 9), (11, 11), (13, 14)),
            },
        ),
        (
            "a.mjs",
            SCRIPT,
            {
                IMPORTS: ((1, 1),),
                "A": ((4, 10),),
                "A.m": ((6, 6),),
                "A.#p": ((7, 7),),
                "A.s": ((8, 8),),
                "f": ((11, 11),),
                "g": ((12, 14),),
                "h": ((15, 15),),
                MODULE: ((2, 3),),
            },
        ),
        (
            "a.ts",
            TYPED,
            {
                IMPORTS: ((1, 1),),
                "A": ((2, 7),),
                "A.m": ((4, 5),),
                "A.q": ((6, 6),),
                "I": ((8, 8),),
                "I.m": ((8, 8),),
                "U": ((9, 9),),
                "E": ((10, 10),),
                "N": ((11, 11),),
                "N.f": ((11, 11),),
                "z": ((12, 13),),
                "g": ((14, 14),),
            },
        ),
        (
            "a.go",
            GO,
            {
                IMPORTS: ((3, 5),),
                "T": ((7, 9), (16, 16)),
                "U": ((12, 12),),
                "V": ((13, 13),),
                "T.M": ((16, 16),),
                "F": ((18, 19),),
                "G": ((22, 22),),
                MODULE: ((1, 2), (6, 6), (10, 11), (14, 15), (17, 17), (20, 21)),
            },
        ),
        (
            "a.rs",
            RUST,
            {
                IMPORTS: ((1, 1),),
                "S": ((2, 4), (6, 10)),
                "S.m": ((7, 8),),
                "S.show": ((10, 10),),
                "g": ((11, 11),),
                "n": ((12, 12),),
                "n.q": ((12, 12),),
                "T": ((13, 13),),
                "T.z": ((13, 13),),
                "mm": ((14, 14),),
                MODULE: ((5, 5),),
            },
        ),
        (
            "a.py",
            "match x:\n    case 1:\n        def f(): pass\n    case _:\n        import a\n        class A: pass\n",
            {"f": ((3, 3),), IMPORTS: ((5, 5),), "A": ((6, 6),), MODULE: ((1, 2), (4, 4))},
        ),
        ("a.tsx", "export const C = () => (\n  <div />\n);\n", {"C": ((1, 3),)}),
        ("a.py", "", {}),
    ],
)
def test_an_outline_names_every_line_of_a_file(
    path: str, text: str, expected: dict[str, tuple[tuple[int, int], ...]]
) -> None:
    assert spans_of(path, text) == expected


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("a.py", "def f(:\n"),
        ("a.py", "x = '\0'\n"),
        ("a.py", "x = 1\rdef f(): pass\n"),
        ("a.js", "function f( {\n"),
        ("a.ts", "class {{\n"),
        ("a.go", "package m\nfunc (\n"),
        ("a.rs", "fn f( {\n"),
        ("a.md", "# title\n"),
        ("Makefile", "all:\n"),
        ("a.py", "x\n" * MAX_CHARS),
    ],
)
def test_what_does_not_parse_has_no_outline(path: str, text: str) -> None:
    assert FileSymbols().outline(path, text) is None


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("a.py", "if x == 0: pass\n" + "elif x == 1: pass\n" * 1200 + "def f(): pass\n"),
        ("a.py", f"def f(x={'-' * 1500}1): pass\n"),
        ("a.ts", "namespace A { " * 2000 + "}" * 2000),
        ("a.rs", "mod a { " * 2000 + "}" * 2000),
    ],
    ids=["branches", "a default value", "namespaces", "modules"],
)
def test_what_is_nested_too_deeply_has_no_outline(path: str, text: str) -> None:
    assert FileSymbols().outline(path, text) is None


def test_python_of_a_newer_version_is_read_too() -> None:
    text = "def f[T](x: T): pass\nclass A[T]:\n    def m(self): pass\n"
    assert spans_of("a.py", text) == {"f": ((1, 1),), "A": ((2, 3),), "A.m": ((3, 3),)}


def test_lines_that_end_in_a_carriage_return_count_as_one() -> None:
    assert spans_of("a.py", "def f():\r\n    pass\r\n") == {"f": ((1, 2),)}


def test_a_signature_changes_with_its_parameters_and_not_with_its_body() -> None:
    def hash_of(path: str, text: str) -> str:
        outline = FileSymbols().outline(path, text)
        symbol = outline.find("f") if outline else None
        assert symbol is not None
        return symbol.signature_hash

    for path, one, body, other in [
        ("a.py", "def f(a): return 1\n", "def f(a): return 2\n", "def f(b): return 1\n"),
        ("a.js", "function f(a) { return 1 }", "function f(a) { return 2 }", "function f(b) { return 1 }"),
    ]:
        assert hash_of(path, one) == hash_of(path, body) != hash_of(path, other)


def test_a_grammar_is_imported_only_when_it_is_needed() -> None:
    code = (
        "import sys; from aegis_tui.adapters.symbols.reader import FileSymbols; "
        "FileSymbols().outline('a.py', 'x = 1'); "
        "print([name for name in sys.modules if name.startswith('tree_sitter')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout.strip() == "[]"
