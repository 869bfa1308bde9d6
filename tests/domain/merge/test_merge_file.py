"""The merge of one file: what is merged, with which label, and what stays a conflict."""

from __future__ import annotations

from textwrap import dedent

import pytest

from aegis_tui.domain.merge.file import FileMerge, merge_file
from aegis_tui.domain.merge.proof import Versions


def merged(base: str, ours: str, theirs: str, *, path: str = "src/app.py", textual: str | None = None) -> FileMerge:
    texts = [dedent(text).lstrip("\n") for text in (base, ours, theirs)]
    return merge_file(path, Versions(*texts), textual)


def text_of(merge: FileMerge) -> str:
    assert merge.text is not None, merge.reason
    return merge.text


def test_functions_that_both_add_at_one_place_follow_each_other_ours_first() -> None:
    merge = merged(
        "def a():\n    return 1\n",
        "def a():\n    return 1\n\n\ndef b():\n    return 2\n",
        "def a():\n    return 1\n\n\ndef c():\n    return 3\n",
    )
    assert text_of(merge) == "def a():\n    return 1\n\n\ndef b():\n    return 2\n\n\ndef c():\n    return 3\n"
    assert merge.label == "proven"
    assert merge.strategy == "structure"


def test_methods_that_both_add_to_one_class_are_both_there() -> None:
    base = "class A:\n    def a(self):\n        return 1\n"
    merge = merged(
        base, base + "\n    def b(self):\n        return 2\n", base + "\n    def c(self):\n        return 3\n"
    )
    assert text_of(merge).count("def ") == 3
    assert merge.label == "proven"


@pytest.mark.parametrize(
    ("base", "ours", "theirs", "expected"),
    [
        ("from m import a\n", "from m import a, b\n", "from m import a, c\n", "from m import a, b, c\n"),
        ("from m import a, b\n", "from m import b\n", "from m import a, b, c\n", "from m import b, c\n"),
        (
            "from m import (\n    a,\n    z,\n)\n",
            "from m import (\n    a,\n    b,\n    z,\n)\n",
            "from m import (\n    a,\n    c,\n    z,\n)\n",
            "from m import (\n    a,\n    b,\n    c,\n    z,\n)\n",
        ),
        ("x = 1\n", "from m import a\n\nx = 1\n", "from m import b\n\nx = 1\n", "from m import a, b\n\nx = 1\n"),
        ('__all__ = ["a"]\n', '__all__ = ["a", "b"]\n', '__all__ = ["a", "c"]\n', '__all__ = ["a", "b", "c"]\n'),
        (
            'R = [\n    "a"\n]\n',
            'R = [\n    "a",\n    "b"\n]\n',
            'R = [\n    "a",\n    "c"\n]\n',
            'R = [\n    "a",\n    "b",\n    "c",\n]\n',
        ),
        ("D = {1: a}\n", "D = {1: a, 2: b}\n", "D = {1: a, 3: c}\n", "D = {1: a, 2: b, 3: c}\n"),
        ("f(a=1)\n", "f(a=1, b=2)\n", "f(a=1, c=3)\n", "f(a=1, b=2, c=3)\n"),
        ("f(a=[x])\n", "f(a=[x, y])\n", "f(a=[x, z])\n", "f(a=[x, y, z])\n"),
    ],
)
def test_elements_that_both_add_are_put_together(base: str, ours: str, theirs: str, expected: str) -> None:
    merge = merged(base, ours, theirs)
    assert text_of(merge).replace('"b"\n', '"b",\n').replace('"c"\n', '"c",\n') == expected
    assert merge.label == "proven"


def test_members_that_both_add_to_an_enumeration_are_both_there() -> None:
    base = "class Colour(Enum):\n    RED = 1\n"
    merge = merged(base, base + "    GREEN = 2\n", base + "    BLUE = 3\n")
    assert text_of(merge) == base + "    GREEN = 2\n    BLUE = 3\n"


def test_neighbouring_functions_edited_by_one_side_each_are_both_edited() -> None:
    merge = merged(
        "def a(): return 1\ndef b(): return 2\n",
        "def a(): return 10\ndef b(): return 2\n",
        "def a(): return 1\ndef b(): return 20\n",
    )
    assert text_of(merge) == "def a(): return 10\ndef b(): return 20\n"


def test_what_both_add_alike_is_there_once() -> None:
    base = "def a():\n    return 1\n"
    new = base + "\n\ndef b():\n    return 2\n"
    merge = merged(base, new, new + "\n\ndef c():\n    return 3\n")
    assert text_of(merge) == new + "\n\ndef c():\n    return 3\n"


@pytest.mark.parametrize(
    ("base", "ours", "theirs"),
    [
        ("x = 1\n", "x = 1\ndef f(): return 1\n", "x = 1\ndef f(): return 2\n"),
        ("x = 1\n", "x = 2\n", "x = 3\n"),
        ("def f(): return 1\n", "def f(): return 2\n", "def f(): return 3\n"),
        ("def f(): return 1\nx = 1\n", "x = 1\n", "def f(): return 2\nx = 1\n"),
        ("D = {}\n", "D = {1: a}\n", "D = {1: b}\n"),
        ("D = {1: z}\n", "D = {1: a}\n", "D = {1: b}\n"),
        ("a()\n", "b()\n", "c()\n"),
        ("a()\n", "", "b()\n"),
        ("return_ = f(a)\n", "return_ = f(a, b)\n", "return_ = f(a, c)\n"),
        ("V = (1, 2)\n", "V = (1, 3)\n", "V = (1, 4)\n"),
        ("x = 1\n", "x = 1\nT = 1\n", "x = 1\nT = 2\n"),
    ],
)
def test_changes_that_exclude_each_other_are_refused(base: str, ours: str, theirs: str) -> None:
    merge = merged(base, ours, theirs)
    assert (merge.label, merge.text) == ("refused", None)
    assert merge.reason


def test_a_clean_merge_with_one_helper_of_each_side_is_a_conflict() -> None:
    base = "import os\n\n\ndef a():\n    return 1\n\n\ndef z():\n    return 2\n"
    ours = base.replace("def a", "def helper():\n    return 'ours'\n\n\ndef a")
    theirs = base + "\n\ndef helper():\n    return 'theirs'\n"
    both = ours + "\n\ndef helper():\n    return 'theirs'\n"
    merge = merged(base, ours, theirs, textual=both)
    assert (merge.label, merge.text) == ("refused", None)
    assert merge.reason == "defined twice: helper"


def test_a_clean_merge_that_uses_what_the_other_side_removed_is_a_conflict() -> None:
    base = "import re\n\nX = re.compile('x')\n\n\ndef a():\n    return 1\n"
    ours = "X = None\n\n\ndef a():\n    return 1\n"
    theirs = base + "\n\ndef b():\n    return re.compile('b')\n"
    merge = merged(base, ours, theirs, textual=ours + "\n\ndef b():\n    return re.compile('b')\n")
    assert merge.reason == "undefined: re"


def test_a_clean_merge_is_proven_where_both_changes_are_in_it() -> None:
    base = "def a():\n    return 1\n\n\ndef z():\n    return 2\n"
    ours, theirs = base.replace("1", "10"), base.replace("2", "20")
    merge = merged(base, ours, theirs, textual=base.replace("1", "10").replace("2", "20"))
    assert (merge.label, merge.strategy) == ("proven", "text")


def test_a_call_added_while_the_other_side_changes_the_parameters_is_not_proven() -> None:
    base = "def a(x):\n    return x\n\n\ndef z():\n    return 2\n"
    ours = base.replace("a(x)", "a(x, y)")
    theirs = base.replace("return 2", "return a(2)")
    merge = merged(base, ours, theirs, textual=ours.replace("return 2", "return a(2)"))
    assert (merge.label, merge.reason) == ("unproven", "signature: a")


def test_a_clean_merge_that_does_not_parse_is_a_conflict() -> None:
    merge = merged("a = 1\n", "a = 2\n", "a = 3\n", textual="a = = 2\n")
    assert merge.label == "refused"
    assert merge.reason.startswith("syntax")


GENERATED = "a lock file is generated, not merged: merge the manifests, then regenerate it with"


def test_a_lock_file_is_a_conflict_even_where_git_merges_it() -> None:
    merge = merged("a\n", "b\n", "c\n", path="web/package-lock.json", textual="d\n")
    assert (merge.label, merge.reason) == ("refused", f"{GENERATED} `npm install --package-lock-only` in web")


def test_other_files_are_left_to_git() -> None:
    assert merged("a\n", "b\n", "c\n", path="notes.txt").label == "refused"
    merge = merged("a\n", "b\n", "c\n", path="notes.txt", textual="d\n")
    assert (merge.label, merge.text) == ("unproven", "d\n")


def test_what_cannot_be_parsed_is_left_to_git() -> None:
    assert merged("print 1\n", "print 2\n", "print 3\n").label == "refused"
    assert merged("print 1\n", "print 2\n", "print 1\n", textual="print 2\n").label == "unproven"


def test_comments_and_line_ends_are_kept() -> None:
    base = "# head\r\n\r\nimport os\r\n\r\n# about a\r\ndef a():\r\n    return os\r\n"
    ours = base + "\r\n# about b\r\ndef b():\r\n    return 2  # two\r\n"
    theirs = base + "\r\n# about c\r\ndef c():\r\n    return 3\r\n"
    merge = merge_file("a.py", Versions(base, ours, theirs), None)
    assert text_of(merge) == ours + "\r\n# about c\r\ndef c():\r\n    return 3\r\n"


def test_a_comment_behind_an_element_comes_with_it() -> None:
    base = "R = [\n    a,\n]\n"
    merge = merged(base, "R = [\n    a,\n    b,\n]\n", "R = [\n    a,\n    # about c\n    c,  # last\n]\n")
    assert text_of(merge) == "R = [\n    a,\n    b,\n    # about c\n    c,  # last\n]\n"


def test_two_last_elements_without_a_comma_do_not_become_one_text() -> None:
    base = 'f(\n    "a"\n)\nx = 1\n'
    merge = merged(base, 'f(\n    "a",\n    "b"\n)\nx = 1\n', 'f(\n    "a",\n    "c"\n)\nx = 1\n')
    assert merge.label == "refused"


def test_a_long_import_is_put_in_parentheses() -> None:
    names = [f"name_number_{at}" for at in range(4)]
    base = f"from package.module import {', '.join(names)}\n"
    merge = merged(base, base.replace("\n", ", ours_name\n"), base.replace("\n", ", theirs_name\n"))
    assert "import (\n    name_number_0,\n" in text_of(merge)
    assert max(map(len, text_of(merge).splitlines())) < 90


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("x: A = f(1)\n", "x: B = f(1)\n"),
        ("x += f(1)\n", "x -= f(1)\n"),
        ("x = f(1)\n", "x = f(2)\n"),
        ("class A(B): ...\n", "class A(C): ...\n"),
        ("def f(x=1): ...\n", "def f(x=2): ...\n"),
        ("assert a == 1\n", "assert a == 2\n"),
        ("if a:\n    b()\n", "if c:\n    b()\n"),
        ("x = [{1: a}]\n", "x = [{1: b}]\n"),
    ],
)
def test_a_merge_without_one_side_s_change_of_a_statement_is_not_proven(old: str, new: str) -> None:
    base = f"a = b = c = f = None\n{old}\n\ndef z(): ...\n"
    theirs = base + "\n\ndef theirs(): ...\n"
    merge = merged(base, base.replace(old, new), theirs, textual=theirs)
    assert (merge.label, merge.strategy) == ("unproven", "text")


def test_what_both_add_to_an_empty_file_is_merged() -> None:
    for base in ("", "# nothing yet\n"):
        merge = merged(base, f"{base}from a import one\n", f"{base}from b import two\n")
        assert (merge.label, merge.text) == ("proven", f"{base}from a import one\nfrom b import two\n")
