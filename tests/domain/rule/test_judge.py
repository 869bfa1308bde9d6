"""What the merge rules find in the changes of a piece (FLOW-9)."""

from __future__ import annotations

import codecs

import pytest

from aegis_tui.domain.rule.change import PathChange, read_change
from aegis_tui.domain.rule.judge import NO_SCANNER, UNREADABLE, SecretHit, SecretScan, judge
from aegis_tui.domain.rule.model import MergeRule

RAN = SecretScan("test 1.0")
DEBUG = MergeRule(
    name="debug", pattern=r"^\s*breakpoint\(\)", paths=("**/*.py",), message="left in", remedy="remove it"
)
SECRET = MergeRule(name="secret", kind="secret", message="a secret")


def changed(path: str, new: str | bytes, old: str | bytes | None = None) -> PathChange:
    new, old = (item.encode() if isinstance(item, str) else item for item in (new, old))  # type: ignore[assignment]
    return read_change(path, "A" if old is None else "M", "b1", new=new, old=old)  # type: ignore[arg-type]


def found(rule: MergeRule, change: PathChange, scan: SecretScan = RAN) -> list[tuple[str, int | None]]:
    return [(item.rule, item.line) for item in judge((rule,), (change,), scan)]


def test_a_line_rule_sees_added_lines_only_and_names_their_numbers() -> None:
    old = "a\nbreakpoint()\nb\n"
    assert found(DEBUG, changed("x.py", "a\nbreakpoint()\nb\nc\n", old)) == []
    assert found(DEBUG, changed("x.py", "a\nbreakpoint()\nb\n  breakpoint()\n", old)) == [("debug", 4)]
    assert found(DEBUG, changed("x.txt", "breakpoint()\n")) == []


def test_a_line_that_only_moves_is_not_new_but_a_copy_of_it_is() -> None:
    old = "breakpoint()\na\nb\n"
    assert found(DEBUG, changed("x.py", "a\nb\nbreakpoint()\n", old)) == []
    assert len(found(DEBUG, changed("x.py", "breakpoint()\na\nb\nbreakpoint()\n", old))) == 1


@pytest.mark.parametrize(
    "raw",
    [
        b"a\r\nbreakpoint()\r\n",
        codecs.BOM_UTF8 + b"a\nbreakpoint()\n",
        "a\nbreakpoint()\n".encode("utf-16"),
        codecs.BOM_UTF32_LE + "a\nbreakpoint()\n".encode("utf-32-le"),
        b"\xff\xfe\xff\nbreakpoint()\n".replace(b"\xff\xfe", b"\xe9"),
    ],
)
def test_text_is_read_whatever_its_line_ends_and_encoding(raw: bytes) -> None:
    assert found(DEBUG, changed("x.py", raw)) == [("debug", 2)]


def test_a_pattern_is_found_far_into_a_long_line() -> None:
    rule = MergeRule(name="debug", pattern=r"debugger;", message="left in")
    assert found(rule, changed("x.js", "x" * 50_000 + "debugger;" + "y" * 50_000)) == [("debug", 1)]


def test_unless_excuses_a_line() -> None:
    rule = MergeRule(name="debug", pattern="print", unless="# kept", message="left in")
    assert found(rule, changed("x.py", "print(1)\nprint(2)  # kept\n")) == [("debug", 1)]


def test_path_rules_see_deletions_only_if_they_ask_for_them() -> None:
    rule = MergeRule(name="ci", kind="path", paths=(".github/**",), message="ci", severity="person")
    gone = read_change(".GitHub/workflows/ci.yml", "D", "b1", new=None, old=None)
    assert found(rule, gone) == []
    assert found(rule.model_copy(update={"deletions": True}), gone) == [("ci", None)]


def test_binary_files_and_large_files_are_found_unless_they_are_only_moved_or_were_large_before() -> None:
    binary = MergeRule(name="binary", kind="binary", message="binary")
    size = MergeRule(name="size", kind="size", max_bytes=10, message="large")
    assert found(binary, changed("x.bin", b"\0" * 20)) == [("binary", None)]
    assert found(size, changed("x.txt", "x" * 11)) == [("size", None)] and found(size, changed("x.txt", "x" * 10)) == []
    moved = read_change("y.bin", "R", "b1", new=b"\0" * 20, old=b"\0" * 20, old_size=20, is_moved=True)
    assert found(binary, moved) == found(size, moved) == []


def test_what_is_too_large_to_read_waits_for_a_person_whatever_the_rules_are() -> None:
    (item,) = judge((), (read_change("x.txt", "A", "b1", new=None, old=None, size=99_000_000),), RAN)
    assert (item.rule, item.severity) == (UNREADABLE, "person") and "99,000,000" in item.msg


def test_a_header_is_asked_for_where_similar_files_have_it() -> None:
    rule = MergeRule(name="header", kind="header", pattern="Copyright", like_neighbours=True, message="no notice")
    new, held = changed("src/new.py", "import os\n"), ("# Copyright x",) * 3
    assert [i.rule for i in judge((rule,), (new,), RAN, {"src/new.py": held})] == ["header"]
    assert judge((rule,), (new,), RAN, {"src/new.py": (*held, "import re")}) == ()
    assert judge((rule,), (new,), RAN, {"src/new.py": held[:2]}) == (), "two files show no custom"
    assert judge((rule,), (changed("src/new.py", "# Copyright me\n"),), RAN, {"src/new.py": held}) == ()


def test_a_header_that_is_taken_out_is_found() -> None:
    rule = MergeRule(name="header", kind="header", pattern="Copyright", like_neighbours=True, message="no notice")
    (item,) = judge((rule,), (changed("a.py", "x = 1\n", "# Copyright\nx = 1\n"),), RAN)
    assert "removes it" in item.msg


def test_secrets_count_in_added_lines_only_and_no_finding_holds_one() -> None:
    change = changed("a.py", "old = 'aaaa'\nnew = 'hidden-value'\n", "old = 'aaaa'\n")
    hits = (SecretHit("a.py", 1, "Key"), SecretHit("a.py", 2, "Key"), SecretHit("other.py", 1, "Key"))
    (item,) = judge((SECRET,), (change,), SecretScan("s", hits))
    assert (item.line, "hidden" in item.model_dump_json()) == (2, False)


def test_without_a_scanner_the_gate_stays_closed_and_only_a_person_may_open_it() -> None:
    scan = SecretScan("", (), ("gitleaks: broken", "detect-secrets is not installed"))
    (item,) = judge((SECRET,), (changed("a.py", "x = 1\n"),), scan)
    assert (item.rule, item.severity) == (NO_SCANNER, "person") and "gitleaks: broken" in item.msg
    assert judge((), (changed("a.py", "x = 1\n"),), scan) == (), "no rule asks for a scan"


def test_a_key_stays_with_rule_path_and_content_and_not_with_the_line_number() -> None:
    one = judge((DEBUG,), (changed("x.py", "breakpoint()\n"),), RAN)[0]
    other = judge((DEBUG,), (changed("x.py", "import os\n\nbreakpoint()\n"),), RAN)[0]
    assert one.key == other.key and one.line != other.line
    assert one.key != judge((DEBUG,), (changed("y.py", "breakpoint()\n"),), RAN)[0].key


def test_many_findings_of_a_rule_are_cut_with_their_number() -> None:
    text = "".join(f"  breakpoint() # {number}\n" for number in range(50))
    items = judge((DEBUG,), (changed("x.py", text),), RAN)
    assert len(items) == 21 and "30 more" in items[-1].msg
    assert len({item.key for item in items}) == 21
