"""JSON and TOML: merged by lines, and proven by what the files say (GIT-3)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aegis_tui.domain.merge.file import FileMerge, merge_file
from aegis_tui.domain.merge.proof import Versions


def merged(path: str, base: str, ours: str, theirs: str, textual: str | None = None) -> FileMerge:
    return merge_file(path, Versions(base, ours, theirs), textual)


def pretty(value: Any) -> str:
    return json.dumps(value, indent=2) + "\n"


def test_keys_that_both_add_at_the_end_of_an_object_are_merged() -> None:
    base = {"name": "app", "scripts": {"test": "jest"}}
    ours, theirs = ({**base, "scripts": {"test": "jest", name: name}} for name in ("lint", "build"))
    result = merged("package.json", pretty(base), pretty(ours), pretty(theirs))
    assert (result.label, result.strategy) == ("proven", "lines"), result.reason
    both = {"name": "app", "scripts": {"test": "jest", "lint": "lint", "build": "build"}}
    assert result.text == pretty(both), "the text is kept as it was written"


def test_tables_and_elements_that_both_add_to_toml_are_merged() -> None:
    base = '[project]\nname = "a"\ndependencies = [\n    "b",\n]\n'
    ours = base.replace('    "b",\n', '    "b",\n    "c",\n')
    theirs = base.replace('    "b",\n', '    "b",\n    "d",\n') + "\n[tool.x]\ny = 1\n"
    result = merged("pyproject.toml", base, ours, theirs)
    assert (result.label, result.text) == ("proven", theirs.replace('    "d",\n', '    "c",\n    "d",\n')), (
        result.reason
    )


def test_one_value_that_both_change_is_a_conflict() -> None:
    base, ours, theirs = (pretty({"version": version}) for version in ("1", "2", "3"))
    assert merged("a.json", base, ours, theirs).label == "refused"


@pytest.mark.parametrize(
    ("textual", "reason"),
    [
        ('{\n  "b": 1,\n  "a": 1,\n  "z": 1,\n  "b": 2\n}\n', "defined twice: b"),
        ('{\n  "b": 1,\n  "a": 1,\n  "z": 1,\n}\n', "syntax: "),
    ],
)
def test_what_git_merges_to_no_valid_file_is_a_conflict(textual: str, reason: str) -> None:
    base = {"a": 1, "z": 1}
    result = merged("a.json", pretty(base), pretty({"b": 1, **base}), pretty({**base, "b": 2}), textual)
    assert result.label == "refused" and result.reason.startswith(reason)


def test_a_value_that_is_lost_is_seen_and_a_file_with_comments_is_left_to_git() -> None:
    base, ours, theirs = pretty({"a": 1}), pretty({"a": 1, "b": 2}), pretty({"a": True})
    assert merged("a.json", base, ours, theirs, pretty({"a": True, "b": 2})).label == "proven"
    assert merged("a.json", base, ours, theirs, pretty({"a": 1, "b": 2})).label == "unproven"
    commented = "// about\n" + base
    assert merged("a.json", commented, commented, commented, commented).label == "unproven"
    toml = "a = 1\n"
    assert merged("a.toml", toml, toml + "b = 1\n", "c = 1\n" + toml, toml + "a = 2\n").label == "refused"


VALUES = st.recursive(st.integers(0, 3), lambda inner: st.dictionaries(st.sampled_from("abcd"), inner, max_size=4))


@settings(max_examples=150, deadline=None)
@given(*[st.dictionaries(st.sampled_from("abcdef"), VALUES, max_size=5)] * 3)
def test_no_random_merge_says_anything_but_both_changes(base: Any, ours: Any, theirs: Any) -> None:
    result = merged("a.json", *map(pretty, (base, ours, theirs)))
    if result.text is not None:
        _check(base, ours, theirs, json.loads(result.text))


def _check(base: Any, ours: Any, theirs: Any, now: Any) -> None:
    if ours in (base, theirs):
        assert now == theirs
    elif theirs == base:
        assert now == ours
    else:
        gone = object()
        assert all(isinstance(side, dict) for side in (ours, theirs, now))
        for key in {**ours, **theirs, **now}:
            old = base.get(key, gone) if isinstance(base, dict) else gone
            _check(old, ours.get(key, gone), theirs.get(key, gone), now.get(key, gone))
