"""Values are changed in a YAML text, and nothing else (SPEC-2, SPEC-3)."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from ruamel.yaml.nodes import Node

from aegis_tui.application import yaml_edit
from aegis_tui.application.yaml_edit import Edit, edited
from aegis_tui.application.yaml_text import NodeReader, NotYaml, compose
from aegis_tui.errors import Refused

TEXT = """\
# mine
id:   'a'      # the id

status: draft  # by hand
metadata:
    title: "T: \\"x\\""   # quoted
    notes: |
      first

      second
tasks:   # in order
-   id: T1
    status: pending
-   {id: T2, status: pending}   # flow

# the end
changeLog: []
"""


def values(text: str) -> object:
    return NodeReader().read(compose(text))


def test_only_the_lines_of_the_values_change() -> None:
    changes = [
        Edit(("status",), "in-progress"),
        Edit(("tasks", 0, "status"), "completed"),
        Edit(("tasks", 1, "status"), "failed"),
        Edit(("tasks", 0, "assignedTo"), "NATIVE-w01"),
        Edit(("metadata", "updatedAt"), "2026-11-30T00:00:00Z"),
    ]
    assert edited(TEXT, changes) == TEXT.replace("draft  #", "in-progress  #").replace(
        "    status: pending\n", "    status: completed\n    assignedTo: NATIVE-w01\n"
    ).replace("{id: T2, status: pending}", "{id: T2, status: failed}").replace(
        "      second\n", '      second\n    updatedAt: "2026-11-30T00:00:00Z"\n'
    )


def test_entries_are_added_to_the_end_of_a_list_however_it_is_written() -> None:
    entry = Edit(("changeLog",), {"at": "1", "change": "b: c"}, is_entry=True)
    once = edited(TEXT, [entry])
    assert once == TEXT.replace("changeLog: []\n", 'changeLog:\n  - at: "1"\n    change: "b: c"\n')
    assert edited(once, [entry]) == once + '  - at: "1"\n    change: "b: c"\n'
    assert edited("a: x\n", [entry]) == 'a: x\nchangeLog:\n  - at: "1"\n    change: "b: c"\n'
    assert (
        edited("changeLog: [{at: 0}]  # few\n", [entry]) == 'changeLog: [{at: 0}, {at: "1", change: "b: c"}]  # few\n'
    )


@pytest.mark.parametrize(
    "text", ["a: &x draft\nstatus: *x\n", "base: &b {status: old}\nstatus:\n", "status: >-\n  a\n  b\n"]
)
def test_a_value_behind_an_alias_or_on_several_lines_is_changed_alone(text: str) -> None:
    before = values(text)
    assert isinstance(before, dict)
    assert values(edited(text, [Edit(("status",), "new")])) == {**before, "status": "new"}


def test_a_comment_after_a_value_of_several_lines_stays_and_so_do_the_quotes_of_others() -> None:
    text = 'a: "\\u00a0"  # why\nb: word  # what\nc: word\n'
    assert edited(text, [Edit(("b",), "two\nlines")]) == text.replace("b: word", 'b: "two\\nlines"')


def test_what_cannot_be_changed_alone_is_refused() -> None:
    with pytest.raises(Refused) as refused:
        edited("? [a, b]\n: c\nx: y\n", [Edit(("x", "z"), "1")])
    assert refused.value.code == "spec.edit"


def test_line_ends_and_a_missing_last_one_stay() -> None:
    assert edited("a: x\r\nb: y # c\r\n", [Edit(("a",), "z"), Edit(("d",), "w")]) == "a: z\r\nb: y # c\r\nd: w\r\n"
    assert edited("a: x", [Edit(("b",), "z")]) == "a: x\nb: z"


def test_many_changes_cost_as_few_readings_as_one_and_give_what_single_ones_give(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = "a: &x 1\ntasks:\n" + "".join(f"  - id: T{n}\n    status: pending  # {n}\n" for n in range(32))
    changes = [Edit(("tasks", n, key), "done") for n in range(32) for key in ("status", "by")]
    odd = Edit(("tasks", 31, "id"), "T0\n")
    alone = text
    for change in changes:
        alone = edited(alone, [change])
    read: list[str] = []

    def noted(text: str) -> Node | None:
        read.append(text)
        return compose(text)

    monkeypatch.setattr(yaml_edit, "compose", noted)
    assert edited(text, changes) == alone
    assert len(read) == 3
    assert values(edited(text, [*changes, odd, odd])) == values(edited(alone, [odd]))
    assert len(read) < len(changes)


@pytest.mark.parametrize("value", ["2026-13-45", "9" * 5000], ids=["date", "number"])
def test_a_value_that_only_looks_like_a_date_or_a_number_does_not_hinder_a_change(value: str) -> None:
    with pytest.raises(Refused) as refused:
        edited(f"a: &x draft\nstatus: *x\nd: {value}\n", [Edit(("status",), "new")])
    assert refused.value.code == "spec.edit"


def test_a_text_that_is_not_yaml_is_refused() -> None:
    with pytest.raises(NotYaml):
        edited("a: [", [Edit(("a",), "x")])


words = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=12)
keys = st.sampled_from(["status", "error", "notes", "한글"])
comments = st.sampled_from(["", "  # why", "  # 이유"])


@st.composite
def documents(draw: st.DrawFn) -> str:
    lines = []
    for key in draw(st.lists(keys, unique=True, min_size=1)):
        style = draw(st.sampled_from(["plain", "double", "single", "block", "list"]))
        comment = draw(comments)
        text = draw(words)
        lines += {
            "plain": [f"{key}: word{comment}"],
            "double": [f"{key}: {json.dumps(text)}{comment}"],
            "single": [f"{key}: 'it''s'{comment}"],
            "block": [f"{key}: |{comment}", "  one", "", "  two"],
            "list": [f"{key}:{comment}", "- a", "# between", "- b: c"],
        }[style]
        lines += draw(st.lists(st.sampled_from(["", "# note", "# far"]), max_size=2))
    return draw(st.sampled_from(["\n", "\r\n"])).join(lines) + "\n"


@settings(deadline=None, max_examples=60)
@example('status: "\\u00a0"  # why\nnotes: word\nerror: word  # why\n', [("error", "two\nlines")])
@given(documents(), st.lists(st.tuples(keys, words | st.just("two\nlines")), max_size=3))
def test_comments_order_and_every_other_value_survive(text: str, sets: list[tuple[str, str]]) -> None:
    wanted = values(text)
    assert isinstance(wanted, dict)
    new = edited(text, [Edit((key,), value) for key, value in sets])
    said = values(new)
    assert isinstance(said, dict) and said == {**wanted, **dict(sets)}
    assert [key for key in said if key in wanted] == list(wanted)
    changed = {key for key, _ in sets}
    kept = [line for line in text.splitlines() if "#" in line and line.split(":")[0] not in changed]
    remaining = new.splitlines()
    for line in kept:
        if line.startswith("# between"):
            continue  # inside a list, which may have been replaced
        assert line.rstrip() in [item.rstrip() for item in remaining]
