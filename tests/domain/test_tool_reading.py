"""What a model meant, where the tools' schemas leave one meaning; everything else stays as it came (FLOW-11)."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aegis_tui.domain.tool.call_text import ends_in_thought, read_text_calls, without_thoughts
from aegis_tui.domain.tool.model import TOOLS, parse_arguments
from aegis_tui.domain.tool.reading import read_arguments, read_name
from aegis_tui.errors import UsageError

PATH = {"path": "a.py"}
TEXT = json.dumps(PATH)


@pytest.mark.parametrize(
    "name",
    [
        "functions.read",
        "functions.read:0",
        "read:",
        "read:1",
        "read.",
        " read ",
        "Read",
        "`read`",
        '"read"',
        "read()",
        "<|tool|>read",
        "<|tool|>read<|end|>",
        "read<|channel|>commentary",
        "to=functions.read",
        "<function=read>",
        "default_api::read",
        "mcp__aegis__read",
        "tools/read",
    ],
)
def test_marks_around_a_name_are_taken_off(name: str) -> None:
    assert read_name(name, allowed=TOOLS) == "read"


@pytest.mark.parametrize(
    "name", ["", "reader", "read.everything", "I read", "read or write", "bash_read", "0", "::", "x" * 500, "<||>"]
)
def test_a_name_that_is_not_certain_stays(name: str) -> None:
    assert read_name(name, allowed=TOOLS) == name


def test_a_name_that_is_allowed_is_never_another() -> None:
    assert read_name("a.read", allowed=["a.read", "read"]) == "a.read"
    assert read_name("READ", allowed=["read", "Read"]) == "READ"


@pytest.mark.parametrize(
    "text",
    [
        TEXT,
        json.dumps(TEXT),
        json.dumps(json.dumps(TEXT)),
        f"[{TEXT}]",
        f"```json\n{TEXT}\n```",
        f"{TEXT}</tool_call>",
        f"{TEXT}\n</tool_call><|im_end|>",
        json.dumps({"arguments": PATH}),
        json.dumps({"name": "read", "arguments": PATH}),
        json.dumps({"name": "functions.read", "parameters": TEXT}),
        '{"path": "a.py", "start": null}',
    ],
)
def test_arguments_are_unwrapped(text: str) -> None:
    assert json.loads(read_arguments("read", text)) == PATH


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "5",
        f"{TEXT}{TEXT}",
        f"[{TEXT}, {TEXT}]",
        f"{TEXT} and then some",
        '{"path": NaN}',
        "{'path': 'a.py'}",
        "[" * 100_000,
    ],
)
def test_arguments_with_no_or_two_meanings_stay(text: str) -> None:
    assert read_arguments("read", text) == text


def test_a_wrapper_for_another_tool_stays() -> None:
    wrapped = {"name": "write", "arguments": PATH}
    assert json.loads(read_arguments("read", json.dumps(wrapped))) == wrapped


@pytest.mark.parametrize(
    ("tool", "given", "meant"),
    [
        ("read", {"path": "a", "start": "3", "end": 7.0}, {"path": "a", "start": 3, "end": 7}),
        ("read", {"path": "a", "start": "three"}, {"path": "a", "start": "three"}),
        ("read", {"path": "a", "start": "1e3"}, {"path": "a", "start": "1e3"}),
        ("bash", {"command": "ls", "timeout_s": "1.5"}, {"command": "ls", "timeout_s": 1.5}),
        ("bash", {"command": 5}, {"command": "5"}),
        ("report", {"status": " Done ", "summary": "x"}, {"status": "done", "summary": "x"}),
        ("lock", {"action": "acquire", "path": "a", "lines": "[1, 2]"}, {"lines": [1, 2]}),
        ("lock", {"action": "acquire", "path": "a", "lines": "1-2"}, {"lines": [1, 2]}),
        ("lock", {"action": "acquire", "path": "a", "lines": ["1", "2"]}, {"lines": [1, 2]}),
        ("propose_design", {"design": '{"goal": "x"}'}, {"design": {"goal": "x"}}),
        (
            "propose_design",
            {"design": {"features": '[{"id": "a", "partition": "src/**", "depends_on": null}]', "shared": "[]"}},
            {"design": {"features": [{"id": "a", "partition": ["src/**"]}], "shared": []}},
        ),
        (
            "propose_design",
            {"design": {"qa": {"commands": "pytest -q"}, "shared": "a b", "joint": "{a,b}.py", "more": "5"}},
            {"design": {"qa": {"commands": "pytest -q"}, "shared": "a b", "joint": "{a,b}.py", "more": "5"}},
        ),
        (
            "verdict",
            {"decision": "APPROVE", "criteria": '[{"id": 1, "pass": "true"}]', "findings": "[]"},
            {"decision": "approve", "criteria": [{"id": "1", "pass": True}], "findings": []},
        ),
        ("verdict", {"criteria": {"id": "a", "pass": True}}, {"criteria": [{"id": "a", "pass": True}]}),
        ("write", {"path": "a", "content": "[1, 2]"}, {"path": "a", "content": "[1, 2]"}),
        ("write", {"path": "a", "content": {"a": 1}}, {"path": "a", "content": {"a": 1}}),
        ("write", {"path": "a", "content": "5"}, {"path": "a", "content": "5"}),
    ],
)
def test_values_are_read_by_the_schema(tool: str, given: dict[str, Any], meant: dict[str, Any]) -> None:
    fields = json.loads(read_arguments(tool, json.dumps(given)))
    assert {name: fields[name] for name in meant} == meant


def test_a_line_end_inside_a_text_is_one() -> None:
    assert json.loads(read_arguments("write", '{"path": "a", "content": "x\ny"}'))["content"] == "x\ny"


@given(st.sampled_from(sorted(TOOLS)), st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists))
def test_reading_never_fails_and_reads_its_own_words_the_same_way(tool: str, value: Any) -> None:
    for text in (json.dumps(value), json.dumps({"path": value, "lines": value, "criteria": value}), str(value)):
        once = read_arguments(tool, text)
        assert read_arguments(tool, once) == once
        with contextlib.suppress(UsageError):
            parse_arguments(tool, once, allowed=TOOLS)


def test_a_text_that_no_file_can_hold_is_told_to_the_model() -> None:
    with pytest.raises(UsageError, match="Unicode"):
        parse_arguments("write", '{"path": "a", "content": "\\ud800"}', allowed=TOOLS)
    with pytest.raises(UsageError, match="not valid JSON"):
        parse_arguments("write", "[" * 100_000, allowed=TOOLS)


BLOCK = '<tool_call>\n{"name": "read", "arguments": {"path": "a.py"}}\n</tool_call>'
CALL = ("read", TEXT)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (BLOCK, ""),
        (f"I look.\n{BLOCK}", "I look."),
        (f"<think>use {BLOCK}?</think>\n{BLOCK}", ""),
        (f"perhaps {BLOCK}</think>\n{BLOCK}\n<|im_end|>", ""),
        (BLOCK.removesuffix("</tool_call>"), ""),
        ('<tool_call>{"name": "functions.read", "arguments": "{\\"path\\": \\"a.py\\"}"}</tool_call>', ""),
        ('```\nls\n```\n<tool_call>{"name": "read", "parameters": {"path": "a.py"}}</tool_call>', "```\nls\n```"),
    ],
)
def test_a_call_at_the_end_of_the_text_is_taken(text: str, said: str) -> None:
    assert read_text_calls(text, allowed=TOOLS) == (said, [CALL])


def test_two_calls_in_a_row_are_two() -> None:
    found = read_text_calls(f"{BLOCK}\n{BLOCK}", allowed=TOOLS)
    assert found is not None and found[1] == [CALL, CALL]


@pytest.mark.parametrize(
    "text",
    [
        "",
        f"You would write {BLOCK}",
        f"{BLOCK}\nand that reads it.",
        f"```\n{BLOCK}",
        f"```\n{BLOCK}\n```",
        f"<think>{BLOCK}</think>",
        f"<think>{BLOCK}",
        '<tool_call>{"name": "read", "arguments": {}}</tool_call>',
        '<tool_call>{"name": "nothing", "arguments": {}}</tool_call>',
        '<tool_call>{"name": "read", "arguments": {"path": "a"}</tool_call>',
        '<tool_call>{"name": "read", "arguments": [1]}</tool_call>',
        "<tool_call>" + "[" * 100_000,
        f'{BLOCK}\n<tool_call>{{"name": "nothing"}}</tool_call>',
    ],
)
def test_a_text_that_only_talks_about_calls_is_none(text: str) -> None:
    assert read_text_calls(text, allowed=TOOLS) is None


def test_a_block_that_the_token_limit_cut_is_not_taken() -> None:
    assert read_text_calls(BLOCK.removesuffix("</tool_call>"), allowed=TOOLS, is_cut=True) is None
    assert read_text_calls(BLOCK, allowed=TOOLS, is_cut=True) == ("", [CALL])


@given(st.lists(st.sampled_from(["<tool_call>", "</tool_call>", "<think>", "</think>", TEXT, "```", "\n", "x", "{"])))
def test_any_text_is_read_or_left(pieces: list[str]) -> None:
    read_text_calls("".join(pieces), allowed=TOOLS)


def test_thoughts_are_found() -> None:
    assert without_thoughts("a<think>b</think>c<think>d") == "ac"
    assert without_thoughts("b</think>c") == "c"
    assert ends_in_thought("<think>hm")
    assert not ends_in_thought("<think>hm</think>x")
    assert not ends_in_thought("x")
