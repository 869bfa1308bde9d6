"""What servers send in the place of a chunk, and what it is read as; anything else is odd, never another error."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aegis_tui.adapters.llm.assembly import ReplyAssembler, parse_usage
from aegis_tui.adapters.llm.call_assembly import Odd
from aegis_tui.ports.llm import ChatReply, ToolCall, Usage

Json = dict[str, Any]
ARGUMENTS = {"path": "a.py"}
TEXT = json.dumps(ARGUMENTS)


def fed(*chunks: Any) -> ChatReply:
    assembler = ReplyAssembler()
    for chunk in chunks:
        assembler.feed(chunk)
    return assembler.reply()


def delta(**fields: Any) -> Json:
    return {"choices": [{"index": 0, "delta": fields, "finish_reason": None}]}


def fragments(*calls: Json) -> tuple[ToolCall, ...]:
    return fed(*(delta(tool_calls=[call]) for call in calls)).tool_calls


def call(arguments: Any = TEXT, **fields: Any) -> Json:
    return {"index": 0, "id": "a", "function": {"name": "read", "arguments": arguments}, **fields}


@pytest.mark.parametrize(
    "calls",
    [
        [call(ARGUMENTS)],
        [call([ARGUMENTS])],
        [call([TEXT[:5], TEXT[5:]])],
        [call(TEXT[:5]), call(TEXT[5:], function={"arguments": TEXT[5:]})],
        [{"index": 0, "id": "a", "name": "read", "arguments": ARGUMENTS}],
        [{"index": 0, "id": "a", "function": "read", "arguments": ARGUMENTS}],
        [{"index": 0, "id": "a", "function": {"name": "read", "parameters": ARGUMENTS}}],
        [call(TEXT[:5]), call(TEXT)],
        [call(), call()],
        [call(TEXT[:5]), call(TEXT[5:]), call(TEXT)],
        [call("", index="0"), call(TEXT, index=0.0)],
        [call(""), call({}), call(ARGUMENTS)],
    ],
    ids=[
        "object",
        "list of one object",
        "list of pieces",
        "pieces",
        "no function object",
        "function is the name",
        "parameters",
        "each fragment holds all so far",
        "sent twice",
        "the whole once more at the end",
        "index as text",
        "object in pieces",
    ],
)
def test_one_call_in_many_shapes(calls: list[Json]) -> None:
    [read] = fragments(*calls)
    assert (read.id, read.name, json.loads(read.arguments)) == ("a", "read", ARGUMENTS)


def test_two_calls_whose_ids_contradict_the_index() -> None:
    other = {"index": 0, "id": "b", "function": {"name": "write", "arguments": "{}"}}
    assert fragments(call(), other) == (ToolCall("a", "read", TEXT), ToolCall("b", "write", "{}"))
    same_tool = call('{"path": "b.py"}', id="b")
    assert [item.id for item in fragments(call(), same_tool)] == ["a", "b"]
    without_ids = [call(id=None), call('{"path": "b.py"}', id=None)]
    assert [json.loads(item.arguments)["path"] for item in fragments(*without_ids)] == ["a.py", "b.py"]


def test_an_id_made_up_for_each_fragment_is_one_call() -> None:
    pieces = [call(TEXT[at : at + 4], id=f"r{at}") for at in range(0, len(TEXT), 4)]
    [read] = fragments(*pieces)
    assert json.loads(read.arguments) == ARGUMENTS


def test_an_index_that_grows_with_each_fragment_is_one_call_by_its_id() -> None:
    pieces = [{"index": at, "id": "a", "function": {"arguments": TEXT[at : at + 1]}} for at in range(1, len(TEXT))]
    [read] = fragments(call(TEXT[:1]), *pieces)
    assert json.loads(read.arguments) == ARGUMENTS


def test_the_same_id_for_every_call_is_made_unique() -> None:
    two = fragments(call(id="x"), {"index": 1, "id": "x", "function": {"name": "write", "arguments": "{}"}})
    assert [item.name for item in two] == ["read", "write"]
    assert len({item.id for item in two}) == 2


def test_a_name_only_in_kimis_id_is_taken() -> None:
    [read] = fragments({"index": 0, "id": "functions.read:0", "function": {"arguments": TEXT}})
    assert read.name == "functions.read:0"


def test_content_as_parts_is_text_and_thoughts_are_not() -> None:
    parts = [{"type": "text", "text": "o"}, {"type": "output_text", "text": "k"}, "!", {"type": "thinking", "x": []}]
    reply = fed(delta(content=parts))
    assert (reply.text, reply.has_thought) == ("ok!", True)
    assert fed(delta(content={"type": "text", "text": "ok"})).text == "ok"
    assert fed(delta(reasoning_content="hm")).has_thought


def test_a_whole_message_is_taken_once() -> None:
    message = {"role": "assistant", "content": "ok", "tool_calls": [call()]}
    whole = {"choices": [{"message": message, "finish_reason": "tool_calls"}]}
    assert fed(whole) == fed(delta(content="ok", tool_calls=[call()]), whole)


def test_the_old_function_call_is_a_call() -> None:
    [read] = fed(delta(function_call={"name": "read", "arguments": TEXT})).tool_calls
    assert (read.name, read.arguments) == ("read", TEXT)


@pytest.mark.parametrize(
    ("chunk", "what"),
    [
        (5, "a chunk that is not an object"),
        ({"choices": "x"}, "choices that are not a list"),
        ({"choices": [5]}, "a choice that is not an object"),
        ({"choices": [{"delta": 7}]}, "a delta that is not an object"),
        (delta(content=5), "content that is neither text nor a list"),
        (delta(content=[{"type": "image_url"}]), "a part of the content that holds no text"),
        (delta(tool_calls=5), "tool calls that are not a list"),
        (delta(tool_calls=["x"]), "a tool call that is not an object"),
        (delta(tool_calls=[call(5)]), "arguments are neither text nor an object"),
        (delta(tool_calls=[call(index=[1])]), "index is not a number"),
        (delta(tool_calls=[call(id={})]), "id is not text"),
        (delta(tool_calls=[{"function": {"name": 5}}]), "name is not text"),
        ({"choices": [{"delta": {}, "finish_reason": 5}]}, "finish_reason that is not text"),
    ],
)
def test_what_cannot_be_read_is_odd_and_says_what_it_is(chunk: Any, what: str) -> None:
    with pytest.raises(Odd, match=what):
        fed(chunk)


@pytest.mark.parametrize("at_once", [True, False])
def test_a_model_that_calls_without_end_is_odd(at_once: bool) -> None:
    """8,000 calls in one reply took seconds to put together, and 20,000 minutes."""
    calls = [{"index": at, "id": f"c{at}", "function": {"name": "read", "arguments": TEXT}} for at in range(20_000)]
    chunks = [calls] if at_once else [[call] for call in calls]
    with pytest.raises(Odd, match="more than 256 tool calls in one reply"):
        fed(*({"choices": [{"delta": {"tool_calls": part}}]} for part in chunks))
    assert len(fed({"choices": [{"delta": {"tool_calls": calls[:256]}}]}).tool_calls) == 256


def test_usage_counts_only_what_is_a_count() -> None:
    assert parse_usage({"prompt_tokens": "5", "completion_tokens": -1, "prompt_tokens_details": 3}) == Usage()
    assert parse_usage({"prompt_tokens": 5.0, "prompt_tokens_details": {"cached_tokens": 2}}) == Usage(5, 0, 2)
    assert parse_usage([1]) == Usage()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


def maybe(known: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return json_values | known


def objects(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.fixed_dictionaries({}, optional={name: maybe(value) for name, value in fields.items()})


texts = st.sampled_from(["", "read", "write", "{}", TEXT, TEXT[:5], TEXT[5:], json.dumps(TEXT), "null", "}"])
functions = objects(name=texts, arguments=texts | st.just(ARGUMENTS), parameters=texts)
calls = objects(index=st.integers(0, 2), id=st.sampled_from(["", "a", "b"]), function=functions | texts, name=texts)
part = objects(type=st.sampled_from(["text", "thinking", "refusal"]), text=texts, refusal=texts)
message = objects(
    content=texts | st.lists(maybe(part), max_size=3),
    tool_calls=st.lists(maybe(calls), max_size=3) | calls,
    function_call=functions,
    reasoning_content=texts,
    refusal=texts,
)
finish = st.sampled_from(["stop", "length", "tool_calls"]) | objects(type=texts)
choice = objects(index=st.integers(), delta=message, message=message, text=texts, finish_reason=finish)
usage = objects(prompt_tokens=st.integers(), completion_tokens=st.floats(), prompt_tokens_details=json_values)
chunk = maybe(objects(choices=st.lists(maybe(choice), max_size=2) | choice, usage=usage, error=json_values))


@pytest.mark.thorough
@settings(max_examples=300, deadline=None)
@given(st.lists(chunk, max_size=5))
def test_any_json_in_any_place_is_a_reply_or_odd(chunks: list[Any]) -> None:
    try:
        reply = fed(*chunks)
    except Odd:
        return
    assert isinstance(reply.text, str)
    assert isinstance(reply.finish_reason, str)
    ids = [item.id for item in reply.tool_calls]
    assert len(set(ids)) == len(ids)
    assert all(isinstance(item.name, str) and isinstance(item.arguments, str) for item in reply.tool_calls)
    reply.usage.to_wire()
