"""Spec files are read with every problem named, and written without loss (SPEC-2, SPEC-9)."""

from __future__ import annotations

from pathlib import Path

import pytest

from aegis_tui.application.setup import SETUP_FILES
from aegis_tui.application.spec_text import change_spec, dump_spec, load_spec, parse_spec
from aegis_tui.application.yaml_edit import Edit
from aegis_tui.domain.spec.document import MOST_CHANGES, SpecChange
from aegis_tui.errors import Refused, UsageError

TEXT = """\
# my spec
id: cart
version: 1.2.0
metadata:
  title: Cart   # short
error:
tasks:
  - id: T1
    title: "Build it"
    files: [src/cart.py]
  - id: T2
    title: Test it
    dependencies: [T1]
"""


def problems(text: str, *, name: str = "cart.yaml") -> list[tuple[int | None, str, str]]:
    with pytest.raises(Refused) as refused:
        parse_spec(text, name=name)
    assert refused.value.code == "spec.invalid"
    return [(issue["line"], issue["field"], issue["message"]) for issue in refused.value.data["issues"]]


def test_a_valid_text_is_kept_as_it_is() -> None:
    file = parse_spec(TEXT, name="cart.yaml")
    assert (file.text, file.was_short) == (TEXT, False)
    assert (file.spec.version, file.spec.status, file.spec.tasks[1].dependencies) == ("1.2.0", "draft", ("T1",))


@pytest.mark.parametrize(
    ("old", "new", "line", "field", "words"),
    [
        ("version: 1.2.0", "version: 1.2", 3, "version", "must be a version such as 1.0.0"),
        ("version: 1.2.0", "versoin: 1.2.0", 3, "versoin", "did you mean version?"),
        ("title: Cart   # short", "title:", 5, "metadata.title", "is required"),
        ("    title: Test it", "    titel: x\n    title: x", 12, "tasks[1].titel", "did you mean title?"),
        ("dependencies: [T1]", "dependencies: [T3]", 13, "tasks[1].dependencies[0]", "there is no task T3"),
        ("dependencies: [T1]", "dependencies: [T2]", 13, "tasks[1].dependencies", "T2 -> T2"),
        ("dependencies: [T1]", "status: almost", 13, "tasks[1].status", "must be one of 'pending'"),
        ("id: cart", "id: card", 2, "id", "must be cart, the name of the file"),
        ("id: cart", "status: done", 2, "status", "must be one of 'draft'"),
        ("files: [src/cart.py]", "files: src/cart.py", 10, "tasks[0].files", "must be a list"),
        ("error:", "error: [", 8, "", "this is not YAML"),
        ("error:", "error: !x y", 6, "error", "tags like !x are not allowed"),
        ("error:", "error: \x85\n    x\n    \r", None, "", "a comment or a blank line"),
    ],
)
def test_a_problem_is_named_with_line_and_field(old: str, new: str, line: int | None, field: str, words: str) -> None:
    found = problems(TEXT.replace(old, new))
    assert any((at, where) == (line, field) and words in message for at, where, message in found), found


def test_all_problems_come_at_once_in_the_order_of_lines() -> None:
    text = TEXT.replace("1.2.0", "one").replace("T1]", "T9]")
    assert [line for line, _, _ in problems(text.replace("one", "1.2.0") + "tags: x\n")] == [14]
    assert [line for line, _, _ in problems(text + "tags: x\n")] == [3, 14]


def test_a_problem_of_a_short_file_is_named_by_its_own_fields() -> None:
    assert problems("id: cart\nacceptance:\n  - x\ntitle: ''\n") == [(4, "title", "must not be empty")]
    assert problems("id: cart\ntitle: x\nversion: 1\n")[0][:2] == (3, "version")


def test_a_file_is_bounded_and_must_be_utf_8(tmp_path: Path) -> None:
    path = tmp_path / "cart.yaml"
    with pytest.raises(UsageError):
        load_spec(path)
    path.write_bytes(TEXT.encode() + b"# \xff\n")
    with pytest.raises(Refused, match=r"cart.yaml:14: the file is not UTF-8"):
        load_spec(path)
    path.write_text(TEXT + "#" * (1 << 20))
    with pytest.raises(Refused, match="over 1 MiB"):
        load_spec(path)


def test_a_change_keeps_every_other_line_and_is_noted() -> None:
    file = parse_spec(TEXT, name="cart.yaml")
    entry = SpecChange(timestamp="2026-11-30T00:00:00+00:00", author="hub", change="status draft -> approved")
    new = change_spec(file, [Edit(("tasks", 0, "status"), "completed")], entry=entry)
    assert new.spec.tasks[0].status == "completed"
    assert new.spec.changeLog == (entry,)
    assert new.spec.metadata.updatedAt == entry.timestamp
    assert [line for line in TEXT.splitlines() if line not in new.text.splitlines()] == []


def test_a_change_that_breaks_a_rule_is_refused() -> None:
    entry = SpecChange(timestamp="t", change="x")
    with pytest.raises(Refused, match="must be one of"):
        change_spec(parse_spec(TEXT, name="cart.yaml"), [Edit(("status",), "done")], entry=entry)


def test_the_change_log_keeps_its_newest_entries() -> None:
    log = "changeLog:\n" + "".join(f"  - {{timestamp: t, change: c{n}}}\n" for n in range(MOST_CHANGES))
    file = parse_spec(TEXT + log, name="cart.yaml")
    new = change_spec(file, [], entry=SpecChange(timestamp="t", change="last")).spec.changeLog
    assert (len(new), new[0].change, new[-1].change) == (MOST_CHANGES, "c1", "last")


def test_a_short_file_gets_the_present_form_with_its_text_below_if_it_has_comments() -> None:
    short = "id: cart\ntitle: Cart\nacceptance: [works]\nowner: 'kim: #1'  # who\n"
    file = parse_spec(short, name="cart.yaml")
    assert file.was_short
    assert file.spec.metadata.extra == {"owner": "kim: #1"}
    assert parse_spec(file.text, name="cart.yaml") == (file.spec, file.text, False)
    assert all(f"#   {line}" in file.text for line in short.splitlines())
    assert "#" not in parse_spec("id: cart\ntitle: Cart\n", name="cart.yaml").text


def test_what_is_written_anew_reads_back_equal() -> None:
    spec = parse_spec(TEXT, name="cart.yaml").spec
    assert parse_spec(dump_spec(spec), name="cart.yaml").spec == spec


@pytest.mark.parametrize("path", sorted((SETUP_FILES / "specs").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_template_is_a_valid_spec_once_it_has_a_title(path: Path) -> None:
    text = path.read_text("utf-8").replace('title: ""', 'title: "x"', 1)
    file = parse_spec(text, name="spec-YYYY-MM-DD-NNN.yaml")
    assert file.spec.metadata.tags == (path.stem,)
    assert file.spec.requirements and file.spec.tasks


def test_there_are_ten_templates_or_more() -> None:
    assert len(list((SETUP_FILES / "specs").glob("*.yaml"))) >= 10
