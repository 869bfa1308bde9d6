from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from aegis_tui.agent.role import load_role
from aegis_tui.domain.tool.model import (
    TOOLS,
    EditArguments,
    ReadArguments,
    VerdictArguments,
    parse_arguments,
    tool_schemas,
)
from aegis_tui.errors import UsageError


def _nodes(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
        for value in node.values():
            yield from _nodes(value)
    elif isinstance(node, list):
        for value in node:
            yield from _nodes(value)


def test_schemas_are_equal_bytes_whatever_the_order_of_the_names() -> None:
    names = list(TOOLS)
    assert json.dumps(tool_schemas(names)) == json.dumps(tool_schemas(list(reversed(names))))
    assert sorted(entry["function"]["name"] for entry in tool_schemas(names)) == sorted(names)


def test_the_tools_of_two_roles_begin_with_those_that_both_may_call() -> None:
    def listed(role: str) -> list[str]:
        return [entry["function"]["name"] for entry in tool_schemas(load_role(role).tools)]

    assert listed("commander")[: len(listed("worker"))] == listed("worker")
    assert listed("git-manager") == listed("worker")[:6]
    assert listed("reviewer")[:4] == listed("worker")[:4]
    assert listed("scout")[:3] == listed("worker")[:3]


def test_an_unknown_tool_is_not_left_out_silently() -> None:
    with pytest.raises(KeyError, match="rm"):
        tool_schemas(["read", "rm"])


def test_schemas_hold_nothing_that_confuses_small_models() -> None:
    for node in _nodes(tool_schemas(TOOLS)):
        assert not {"$ref", "$defs", "anyOf", "default", "minLength", "minimum", "additionalProperties"} & set(node)
    for entry in tool_schemas(TOOLS):
        assert entry["function"]["parameters"]["type"] == "object"


def test_the_arguments_of_the_contract_are_there() -> None:
    fields = {name: set(tool.schema()["function"]["parameters"]["properties"]) for name, tool in TOOLS.items()}
    assert fields["read"] == {"path", "start", "end", "body"}
    assert fields["map"] == {"question", "about"}
    assert fields["signatures"] == {"path"}
    assert fields["search"] == {"pattern", "glob"}
    assert fields["edit"] == {"path", "old", "new"}
    assert fields["write"] == {"path", "content"}
    assert fields["bash"] == {"command", "timeout_s"}
    assert fields["lock"] >= {"action", "path", "wait_s"}
    assert fields["report"] == {"status", "summary"}
    assert fields["verdict"] == {"decision", "criteria", "findings"}
    assert fields["propose_design"] == {"design"}


def test_arguments_that_fit_are_returned_typed() -> None:
    wanted = parse_arguments("read", '{"path": "a.py", "start": "3", "end": null}', allowed=TOOLS)
    assert wanted == ReadArguments(path="a.py", start=3, end=None)


def test_a_verdict_speaks_of_pass_on_the_wire() -> None:
    text = '{"decision": "approve", "criteria": [{"id": "a", "pass": true, "evidence": "x.py:1"}]}'
    wanted = parse_arguments("verdict", text, allowed=TOOLS)
    assert isinstance(wanted, VerdictArguments)
    assert wanted.model_dump(by_alias=True)["criteria"][0]["pass"] is True


@pytest.mark.parametrize(
    ("name", "text", "code", "words"),
    [
        ("rm", "{}", "tool.unknown", "your tools are edit, read"),
        ("write", "{}", "tool.unknown", "no tool 'write'"),
        ("read", '{"path": ', "tool.json", "not valid JSON"),
        ("read", '["a.py"]', "tool.json", "one JSON object"),
        ("read", "", "tool.arguments", "path: Field required"),
        ("read", '{"path": "a", "start": 0}', "tool.arguments", "start"),
        ("edit", '{"path": "a", "old": "x", "new": "y", "all": true}', "tool.arguments", "all: Extra inputs"),
        ("edit", '{"path": "a", "old": "", "new": "y"}', "tool.arguments", "old"),
        ("edit", '{"path": "a", "old": "x", "new": "\\u0000"}', "tool.arguments", "new: Value error, contains a NUL"),
    ],
)
def test_a_call_that_does_not_fit_is_told_what_is_wrong(name: str, text: str, code: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_arguments(name, text, allowed=("read", "edit"))
    assert caught.value.code == code
    assert words in caught.value.message


def test_an_edit_keeps_spaces_and_newlines_as_written() -> None:
    text = json.dumps({"path": "a", "old": "  x\n", "new": "\ty\n"})
    assert parse_arguments("edit", text, allowed=("edit",)) == EditArguments(path="a", old="  x\n", new="\ty\n")
