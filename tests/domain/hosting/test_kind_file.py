"""A kind file is checked when it is read, and no value can break out of its place in a configuration file (AGENT-1)."""

from __future__ import annotations

import json
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from aegis_tui.domain.hosting.kind_file import KindFile, fill, fill_all, fill_file, is_true_at, texts_at

LEAST = {"title": "a parrot", "headless": {"argv": ["parrot", "{prompt}"]}}


def kind(**fields: object) -> KindFile:
    return KindFile.model_validate({**LEAST, **fields})


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"headless": {"argv": ["parrot"]}}, "must contain {prompt}"),
        ({"headless": {"argv": ["parrot", "{prompt}"], "prompt": "stdin"}}, "must contain {prompt}"),
        ({"headless": {"argv": ["parrot", "{prompt}"], "again": ["parrot", "--more"]}}, "must contain {prompt}"),
        ({"headless": {"argv": ["parrot", "{token}", "{prompt}"]}}, "{token} must not be an argument"),
        ({"headless": {"argv": ["parrot", "--key={token}", "{prompt}"]}}, "{token} must not be an argument"),
        ({"headless": {"argv": ["parrot", "{beak}", "{prompt}"]}}, "there is no placeholder beak"),
        ({"environment": {"BEAK": "{beak}"}}, "there is no placeholder beak"),
        ({"files": [{"path": "a.json", "text": "<<beak>>"}]}, "there is no placeholder beak"),
        ({"files": [{"path": "../a.json", "text": ""}]}, "not a path inside the home folder"),
        ({"files": [{"path": "/etc/a.json", "text": ""}]}, "not a path inside the home folder"),
        ({"files": [{"path": "a//b", "text": ""}]}, "not a path inside the home folder"),
        ({"acp": {"argv": []}}, "at least 1 item"),
        ({"acp": {"argv": ["parrot", "--key={token}"]}}, "{token} must not be an argument"),
        ({"acp": {"argv": ["parrot"], "environment": {"BEAK": "{beak}"}}}, "there is no placeholder beak"),
        ({"acp": {"argv": ["parrot"], "meta": {"a": [{"b": "{beak}"}]}}}, "there is no placeholder beak"),
        ({"roles": ["parrot"]}, "there is no role 'parrot'"),
        ({"mcp": "mcp__aegis"}, "mcp must contain {tool}"),
        ({"output": {"show": ["a..b"]}}, "is not a path such as"),
        ({"wings": 2}, "Extra inputs are not permitted"),
    ],
)
def test_a_wrong_file_is_refused_with_what_is_wrong(fields: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError) as caught:
        kind(**fields)
    assert words in str(caught.value)


def test_a_kind_without_mcp_takes_no_role_that_judges() -> None:
    assert kind().can_be("worker") and kind().can_be("scout")
    assert not kind().can_be("reviewer") and not kind().can_be("commander")
    assert kind(mcp="mcp__aegis__{tool}").can_be("reviewer")
    assert not kind(mcp="mcp__aegis__{tool}", roles=["worker"]).can_be("reviewer")
    assert kind(mcp="mcp_aegis_{tool}").tool_name("approve") == "mcp_aegis_approve"


def test_an_argument_keeps_braces_that_are_no_placeholder() -> None:
    assert fill("{home}/x {env:KEY} {} {unknown}", {"home": "/h"}) == "/h/x {env:KEY} {} {unknown}"


def test_each_text_of_a_table_is_filled_in_as_one_text() -> None:
    table = {"{home}": [{"a": "{home}/x", "n": 1}, True, "{unknown}"], "t": {}}
    assert fill_all(table, {"home": '/h"}'}) == {"{home}": [{"a": '/h"}/x', "n": 1}, True, "{unknown}"], "t": {}}


def test_a_kind_is_driven_by_acp_if_the_run_says_so_or_it_has_no_other_way() -> None:
    acp = {"argv": ["parrot", "--acp"]}
    assert not kind().is_driven_by_acp("acp")
    assert kind(acp=acp).is_driven_by_acp("acp")
    assert not kind(acp=acp).is_driven_by_acp("headless") and not kind(acp=acp).is_driven_by_acp("terminal")
    only = KindFile.model_validate({"title": "a parrot", "acp": acp})
    assert only.is_driven_by_acp("headless") and not only.is_driven_by_acp("terminal")


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_any_value_is_one_string_in_json_and_in_toml(value: str) -> None:
    assert json.loads(fill_file('{"a": <<model>>, "b": [<<model>>]}', {"model": value})) == {"a": value, "b": [value]}
    assert tomllib.loads(fill_file("[t.<<model>>]\na = <<model>>\n", {"model": value})) == {"t": {value: {"a": value}}}


def test_a_path_names_a_field_of_each_item_of_a_list() -> None:
    line = {"message": {"content": [{"text": " one "}, {"name": "Bash"}, {"text": ""}, {"text": "two"}]}, "bad": True}
    assert texts_at(line, ["message.content[].text"]) == ["one", "two"]
    assert texts_at(line, ["message.content.text", "message.text", "message[].text", "bad"]) == []
    assert is_true_at(line, ["bad"]) and not is_true_at(line, ["message", "worse"])
