"""Merging JavaScript, TypeScript, Go, Rust and Java by their items, and judging what git merged (GIT-3)."""

from __future__ import annotations

from textwrap import dedent

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aegis_tui.adapters.symbols.source import read_source
from aegis_tui.domain.merge.file import FileMerge, merge_file
from aegis_tui.domain.merge.proof import Versions
from aegis_tui.domain.merge.source_proof import judge_source


def merged(path: str, base: str, ours: str, theirs: str, *, textual: str | None = None) -> FileMerge:
    texts = (dedent(text).lstrip("\n") for text in (base, ours, theirs))
    return merge_file(path, Versions(*texts), textual, read_source)


FUNCTIONS = {
    "app.js": "function {0}() {{\n  return {1};\n}}\n",
    "app.ts": "export function {0}(a: number): number {{\n  return {1};\n}}\n",
    "app.tsx": "export const {0} = () => {{\n  return <p>{1}</p>;\n}};\n",
    "app.go": "func {0}() int {{\n\treturn {1}\n}}\n",
    "app.rs": "fn {0}() -> i32 {{\n    {1}\n}}\n",
}


@pytest.mark.parametrize("path", FUNCTIONS)
def test_functions_that_both_add_at_one_place_are_merged_and_proven(path: str) -> None:
    one = FUNCTIONS[path].format
    head = "package app\n\n" if path == "app.go" else ""
    base = head + one("first", 1)
    result = merged(path, base, f"{base}\n{one('ours', 2)}", f"{base}\n{one('theirs', 3)}")
    assert (result.label, result.strategy) == ("proven", "structure"), result.reason
    assert result.text == f"{base}\n{one('ours', 2)}\n{one('theirs', 3)}"


CLASSES = {
    "A.java": "package a;\n\nimport a.B;\n\npublic class A {{\n    int x = 1;\n{0}}}\n",
    "a.ts": "import {{ b }} from './b';\n\nexport class A extends B {{\n    x = 1;\n{0}}}\n",
    "a.js": "class A {{\n    x = 1;\n{0}}}\n",
    "a.rs": "struct A;\n\nimpl A {{\n    const X: i32 = 1;\n{0}}}\n",
}
METHODS = {
    "A.java": "\n    @Test\n    void {0}(String s) {{\n        run({1});\n    }}\n",
    "a.ts": "\n    @Input()\n    {0}(): void {{\n        run({1});\n    }}\n",
    "a.js": "\n    {0}() {{\n        run({1});\n    }}\n",
    "a.rs": "\n    #[inline]\n    fn {0}(&self) {{\n        run({1});\n    }}\n",
}


@pytest.mark.parametrize("path", CLASSES)
def test_methods_that_both_add_to_one_class_are_merged_and_proven(path: str) -> None:
    file, one = CLASSES[path].format, METHODS[path].format
    base = one("first", 0)
    result = merged(path, file(base), file(base + one("ours", 1)), file(base + one("theirs", 2)))
    assert (result.label, result.text) == ("proven", file(base + one("ours", 1) + one("theirs", 2))), result.reason


@pytest.mark.parametrize("path", CLASSES)
def test_a_method_that_both_define_is_a_conflict_also_where_git_merges_it(path: str) -> None:
    file, one = CLASSES[path].format, METHODS[path].format
    base = "".join(one(f"m{number}", number) for number in range(4))
    ours, theirs = file(one("helper", 8) + base), file(base + one("helper", 9))
    result = merged(path, file(base), ours, theirs, textual=file(one("helper", 8) + base + one("helper", 9)))
    assert result.label == "refused" and result.reason.startswith("defined twice: "), result
    assert merged(path, file(base), ours, theirs).label == "refused"


@pytest.mark.parametrize(
    ("path", "base", "ours", "theirs", "expected"),
    [
        (
            "a.ts",
            "import { a, c } from './x';\n",
            "import { a, b, c } from './x';\n",
            "import { a, c, d } from './x';\n",
            "import { a, b, c, d } from './x';\n",
        ),
        ("a.rs", "use x::{c, a};\n", "use x::{c, a, b};\n", "use x::{c, d};\n", "use x::{c, b, d};\n"),
        (
            "a.js",
            "export {\n  one,\n  two,\n};\n",
            "export {\n  one,\n  three,\n  two,\n};\n",
            "export {\n  four,\n  one,\n};\n",
            "export {\n  four,\n  one,\n  three,\n};\n",
        ),
        (
            "A.java",
            "import a.A;\nimport a.Z;\nclass Q {}\n",
            "import a.A;\nimport a.B;\nimport a.Z;\nclass Q {}\n",
            "import a.A;\nimport a.C;\nimport a.Z;\nclass Q {}\n",
            "import a.A;\nimport a.B;\nimport a.C;\nimport a.Z;\nclass Q {}\n",
        ),
        (
            "a.go",
            'package a\n\nimport (\n\t"a"\n\t"z"\n)\n',
            'package a\n\nimport (\n\t"a"\n\t"b"\n\t"z"\n)\n',
            'package a\n\nimport (\n\t"a"\n\t"c"\n\t"z"\n)\n',
            'package a\n\nimport (\n\t"a"\n\t"b"\n\t"c"\n\t"z"\n)\n',
        ),
    ],
    ids=["typescript", "rust", "export", "java", "go"],
)
def test_imports_and_exports_are_sets(path: str, base: str, ours: str, theirs: str, expected: str) -> None:
    result = merged(path, base, ours, theirs)
    assert (result.label, result.text) == ("proven", expected), result.reason


def test_both_edits_of_one_line_are_a_conflict() -> None:
    one = FUNCTIONS["app.js"].format
    result = merged("app.js", one("f", 1), one("f", 2), one("f", 3))
    assert (result.label, result.reason) == ("refused", "both sides change function f")


def test_what_may_be_there_several_times_is_no_conflict() -> None:
    go = "package a\n\nfunc init() {\n\tone()\n}\n\nfunc f() {}\n"
    ours, theirs = go + "\nfunc init() {\n\ttwo()\n}\n", go.replace("one()", "three()")
    assert merged("a.go", go, ours, theirs, textual=ours.replace("one()", "three()")).label == "proven"
    rust = "fn f() {}\n"
    ours = "#[cfg(unix)]\nfn g() {\n    one();\n}\n\nfn f() {}\n"
    theirs = "fn f() {}\n\n#[cfg(windows)]\nfn g() {\n    two();\n}\n"
    both = ours + theirs.removeprefix("fn f() {}\n")
    assert merged("a.rs", rust, ours, theirs, textual=both).label == "proven"
    java = "class A {\n    void f(int a) {\n        one(a);\n    }\n}\n"
    ours = java.replace("    void", "    void f(String a) {\n        two(a);\n    }\n    void", 1)
    assert merged("A.java", java, ours, java.replace("one", "three"), textual=ours.replace("one", "three")).text


def test_a_merge_that_does_not_parse_is_a_conflict_and_a_file_that_never_did_is_left_to_git() -> None:
    ok, broken = "function f() {}\n", "function f( {}\n"
    assert merged("a.js", ok, ok + "a();\n", "b();\n" + ok, textual=broken).label == "refused"
    result = merged("a.js", broken, broken + "a();\n", "b();\n" + broken, textual="b();\n" + broken + "a();\n")
    assert (result.label, result.strategy) == ("unproven", "text")


def test_lines_of_any_text_are_counted() -> None:
    base = "".join(f"line {at}\n" for at in range(9))
    ours, theirs = "first\n" + base, base.replace("line 7\n", "") + "last\n"
    good = "first\n" + base.replace("line 7\n", "") + "last\n"
    assert merged("notes.txt", base, ours, theirs, textual=good).label == "proven"
    for bad in (good.replace("first\n", ""), good + "first\n", good.replace("line 8\n", "line 7\nline 8\n")):
        result = merged("notes.txt", base, ours, theirs, textual=bad)
        assert result.label == "unproven" and result.reason, bad


PATHS = sorted(FUNCTIONS)


@st.composite
def three(draw: st.DrawFn) -> tuple[str, Versions]:
    """A file with functions, and two sides that add, remove, move and edit some."""
    path = draw(st.sampled_from(PATHS))
    base = {f"f{number}": number for number in range(draw(st.integers(0, 5)))}
    sides = []
    for letter in "ab":
        side = list(base.items())
        for number in range(draw(st.integers(0, 4))):
            at = draw(st.integers(0, len(side)))
            match draw(st.sampled_from(["add", "add", "remove", "edit", "same"])):
                case "add":
                    side.insert(at, (f"{letter}{number}", 100 + number))
                case "same" if all(name != "both" for name, _ in side):
                    side.insert(at, ("both", draw(st.integers(0, 1))))
                case "remove" if side:
                    side.pop(at % len(side))
                case "edit" if side:
                    side[at % len(side)] = (side[at % len(side)][0], 200 + draw(st.integers(0, 2)))
                case _:
                    pass
        sides.append(side)
    head = "package app\n" if path == "app.go" else ""
    texts = [
        head + "".join(f"\n{FUNCTIONS[path].format(name, value)}" for name, value in side)
        for side in (list(base.items()), *sides)
    ]
    return path, Versions(*texts)


@settings(max_examples=150, deadline=None)
@given(three())
def test_no_random_merge_loses_or_doubles_a_function(case: tuple[str, Versions]) -> None:
    path, versions = case
    result = merge_file(path, versions, None, read_source)
    if result.text is None:
        return
    base, ours, theirs = (_functions(path, text) for text in versions)
    found = _functions(path, result.text)
    assert len(found) == len({name for name, _ in found}), "a function is there twice"
    for name in {name for name, _ in (*ours, *theirs, *base)}:
        old, mine, other, now = (dict(side).get(name) for side in (base, ours, theirs, found))
        assert now == (other if mine == old else mine), name
    if result.label == "proven":
        assert judge_source(path, versions, result.text, read_source) == []


def _functions(path: str, text: str) -> list[tuple[str, str]]:
    tree = read_source(path, text)
    assert tree is not None
    lines = text.split("\n")
    named = [node for node in tree.items if node.kind in ("function", "binding")]
    return [(node.name, "\n".join(lines[node.first : node.last])) for node in named]


def test_a_comment_in_a_class_that_is_doubled_or_lost_is_seen() -> None:
    base = "class A {\n    /** About f. */\n    f() {\n        one();\n    }\n}\n"
    ours, theirs = base.replace("one", "two"), base.replace("}\n}", "}\n\n    g() {\n    }\n}")
    good = theirs.replace("one", "two")
    versions = Versions(base, ours, theirs)
    assert judge_source("a.js", versions, good, read_source) == []
    comment = "    /** About f. */\n"
    for bad in (good.replace(comment, comment * 2), good.replace(comment, "")):
        assert judge_source("a.js", versions, bad, read_source) != []


def test_blocks_that_both_add_to_one_test_suite_are_merged() -> None:
    one = "  it('{0}', function () {{\n    run({1});\n  }});\n".format
    file = "describe('app', function () {{\n{0}}});\n".format
    base = one("first", 0)
    result = merged("a.test.js", file(base), file(base + one("ours", 1)), file(base + one("theirs", 2)))
    assert (result.label, result.text) == ("proven", file(base + one("ours", 1) + one("theirs", 2))), result.reason


def test_a_variable_that_may_be_declared_again_is_no_conflict() -> None:
    base = "".join(f"use({number});\n" for number in range(9))
    line = "var path = require('path');\n"
    result = merged("a.js", base, line + base, base + line, textual=line + base + line)
    assert (result.label, result.strategy) == ("unproven", "text")


def test_what_structure_merges_without_proof_is_a_conflict() -> None:
    """Both add the same test, at different places of a suite."""
    one = "  it('{0}', function () {{\n    run({1});\n  }});\n".format
    file = "describe('app', function () {{\n{0}}});\n".format
    base = one("first", 0) + one("last", 9)
    ours, theirs = one("new", 1) + one("ours", 2) + base, base + one("new", 1) + one("theirs", 3)
    result = merged("a.test.js", file(base), file(ours), file(theirs))
    assert result.text is None or result.label == "proven"
