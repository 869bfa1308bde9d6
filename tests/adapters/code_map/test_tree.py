"""Facts of the other languages: definitions with their documentation, calls with their scope, imports."""

from __future__ import annotations

import pytest

from aegis_tui.adapters.code_map.reader import SourceReader
from aegis_tui.domain.code_map.facts import FileFacts

SOURCES = {
    "javascript": """import d, {a as b, c} from './m.js';
import * as ns from '../ns';
const q = require('./q');
/**
 * Adds up.
 * @param x
 */
export function f(x) { return b(x) + ns.g?.(x) + this.y.z(); }
class K { m() { new Z(); this.n(); } }
""",
    "typescript": """import type {A} from './a';
// Calls h.
export const g = async <T>(x: T): Promise<T> => { return h<T>(x); };
export {z} from './z';
""",
    "go": """package m
import (
\tf "fmt"
\t"a/b"
)
// F does it.
func F(x int) error { f.Println(b.G(x)); return t.M() }
func (t *T) M() {}
""",
    "rust": """use crate::a::{b, C as D, e::self};
/// Doc of g.
#[inline]
pub fn g() { a::b::h(); D::new().run(); }
""",
    "java": """package p;
import a.b.C;
import static a.b.D.*;
/** A shop.
 * @author x */
public class Shop extends Base {
  @Override
  public int total(int x) { return C.add(x) + this.sum() + new C().y(); }
  Shop() {}
}
""",
    "c": """#ifndef A_H
#include "b.h"
/* Adds. */
int add(int a, int *b);
static struct node *make(void) { return add(1, p->next(2)); }
typedef struct { int x; } Point;
struct node { int v; };
struct node only_used;
int x = 3;
#endif
""",
    "cpp": """namespace n {
/// A box.
template <class T> class Box : public Base {
  ~Box();
  int get() const { return helper(v); }
};
void Box<int>::set(int v) { this->get(); new Box<int>(); ns::f(); }
}
extern "C" { void e(); }
""",
}


def facts_of(language: str) -> FileFacts:
    return SourceReader().derive(language, SOURCES[language].encode())


@pytest.mark.parametrize(
    ("language", "symbols"),
    [
        (
            "javascript",
            [
                ("f", "function", 4, 8, "function f(x)", "Adds up."),
                ("K", "class", 9, 9, "class K", ""),
                ("K.m", "method", 9, 9, "m()", ""),
            ],
        ),
        ("typescript", [("g", "function", 2, 3, "g = async <T>(x: T): Promise<T>", "Calls h.")]),
        (
            "go",
            [
                ("F", "function", 6, 7, "func F(x int) error", "F does it."),
                ("T.M", "method", 8, 8, "func (t *T) M()", ""),
            ],
        ),
        ("rust", [("g", "function", 2, 4, "pub fn g()", "Doc of g.")]),
        (
            "java",
            [
                ("Shop", "class", 4, 6, "public class Shop extends Base", "A shop."),
                ("Shop.total", "method", 7, 8, "@Override public int total(int x)", ""),
                ("Shop.Shop", "method", 9, 9, "Shop()", ""),
            ],
        ),
        (
            "c",
            [
                ("add", "function", 3, 4, "int add(int a, int *b)", "Adds."),
                ("make", "function", 5, 5, "static struct node *make(void)", ""),
                ("Point", "class", 6, 6, "typedef struct { int x; } Point", ""),
                ("node", "class", 7, 7, "struct node", ""),
            ],
        ),
        (
            "cpp",
            [
                ("n", "class", 1, 1, "namespace n", ""),
                ("n.Box", "class", 2, 3, "class Box : public Base", "A box."),
                ("n.Box.~Box", "method", 4, 4, "~Box()", ""),
                ("n.Box.get", "method", 5, 5, "int get() const", ""),
                ("n.Box.set", "method", 7, 7, "void Box<int>::set(int v)", ""),
                ("e", "function", 9, 9, "void e()", ""),
            ],
        ),
    ],
)
def test_definitions(language: str, symbols: list[tuple[str, str, int, int, str, str]]) -> None:
    found = facts_of(language).symbols
    assert [(one.name, one.kind, one.first, one.line, one.signature, one.doc) for one in found] == symbols


@pytest.mark.parametrize(
    ("language", "calls"),
    [
        (
            "javascript",
            [("", "require"), ("f", "b"), ("f", "ns.g"), ("f", "this.y.z"), ("K.m", "Z"), ("K.m", "this.n")],
        ),
        ("typescript", [("g", "h")]),
        ("go", [("F", "f.Println"), ("F", "b.G"), ("F", "t.M")]),
        ("rust", [("g", "a.b.h"), ("g", "?.run"), ("g", "D.new")]),
        ("java", [("Shop.total", "C.add"), ("Shop.total", "this.sum"), ("Shop.total", "?.y"), ("Shop.total", "C")]),
        ("c", [("make", "add"), ("make", "p.next")]),
        ("cpp", [("n.Box.get", "helper"), ("n.Box.set", "this.get"), ("n.Box.set", "Box"), ("n.Box.set", "ns.f")]),
    ],
)
def test_calls(language: str, calls: list[tuple[str, str]]) -> None:
    facts = facts_of(language)
    names = [symbol.name for symbol in facts.symbols]
    assert [(names[call.scope] if call.scope >= 0 else "", call.target) for call in facts.calls] == calls


@pytest.mark.parametrize(
    ("language", "imports"),
    [
        (
            "javascript",
            [
                ("./m.js", "default", "d"),
                ("./m.js", "a", "b"),
                ("./m.js", "c", "c"),
                ("../ns", "", "ns"),
                ("./q", "", "q"),
            ],
        ),
        ("typescript", [("./a", "A", "A"), ("./z", "z", "z")]),
        ("go", [("fmt", "", "f"), ("a/b", "", "b")]),
        ("rust", [("crate::a::b", "b", "b"), ("crate::a", "C", "D"), ("crate::a::e", "e", "e")]),
        ("java", [("a.b.C", "C", "C"), ("a.b.D", "*", "*")]),
        ("c", [("b.h", "*", "*")]),
        ("cpp", []),
    ],
)
def test_imports(language: str, imports: list[tuple[str, str, str]]) -> None:
    assert [(one.module, one.name, one.alias) for one in facts_of(language).imports] == imports


def test_what_no_grammar_reads_has_lines_and_headings_only() -> None:
    reader = SourceReader()
    assert reader.derive("text", b"a\nb") == FileFacts("text", 2)
    assert reader.derive("text", b"") == FileFacts("text", 0)
    assert reader.derive("python", b"a\0b") == FileFacts("binary", 0)
    assert [one.signature for one in reader.derive("markdown", b"# A\n~~~\n# b\n~~~\n## C ##\n").symbols] == [
        "# A",
        "## C",
    ]


def test_what_is_nested_too_deeply_counts_as_text() -> None:
    assert SourceReader().derive("rust", b"mod a { " * 2000 + b"}" * 2000).symbols == ()
    chained = b"x" + b".a()" * 3000 + b"\n"
    assert SourceReader().derive("python", chained).lines == 1
