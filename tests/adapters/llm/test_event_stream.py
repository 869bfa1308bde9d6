"""The event-stream standard (WHATWG HTML, 9.2.6) over bytes that are cut anywhere, and two other forms of a body."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aegis_tui.adapters.llm.event_stream import EventStream, OddBody, ReplyBody, parse_texts, show_piece


def events(*chunks: bytes) -> list[str]:
    stream = EventStream()
    return [event for chunk in chunks for event in stream.feed(chunk)] + stream.end()


def texts(*chunks: bytes) -> list[str]:
    body = ReplyBody()
    return [text for chunk in chunks for text in body.feed(chunk)] + body.end()


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_lf_crlf_and_cr_end_a_line_wherever_the_bytes_are_cut(end: bytes) -> None:
    whole = end.join([b"data: a", b"data: b", b"", b": comment", b"event: x", b"data:c", b"", b""])
    assert events(whole) == ["a\nb", "c"]
    assert events(*(whole[at : at + 1] for at in range(len(whole)))) == ["a\nb", "c"]


@pytest.mark.parametrize("sign", ["\u2028", "\u2029", "\u0085", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e"])
def test_no_other_sign_ends_a_line(sign: str) -> None:
    assert events(f"data: one{sign}two\n\n".encode()) == [f"one{sign}two"]


def test_a_byte_order_mark_is_passed_over_and_one_space_after_the_colon_belongs_to_the_field() -> None:
    assert events(b"\xef\xbb\xbfdata:  x\n\n") == [" x"]


def test_an_event_that_the_end_of_the_body_cuts_is_taken() -> None:
    assert events(b'data: {"a": 1}') == ['{"a": 1}']
    assert events(b'data: {"a": 1}\n') == ['{"a": 1}']


def test_bytes_that_are_no_utf8_are_replaced() -> None:
    assert events(b"data: a\xffb\n\n") == ["a\ufffdb"]


@given(st.lists(st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"])), max_size=4), st.data())
def test_what_is_sent_arrives_however_it_is_cut(sent: list[str], data: st.DataObject) -> None:
    whole = "".join(f"data: {text}\n\n" for text in sent).encode()
    at = data.draw(st.integers(0, len(whole)))
    assert events(whole[:at], whole[at:]) == sent


@given(st.lists(st.binary(max_size=30), max_size=6))
def test_any_bytes_are_a_body_or_an_odd_one(chunks: list[bytes]) -> None:
    try:
        for text in texts(*chunks):
            parse_texts(text)
    except OddBody:
        pass


def test_one_json_body_stands_for_a_stream() -> None:
    body = json.dumps({"choices": []}, indent=1).encode()
    assert [json.loads(text) for text in texts(b"\n" + body[:3], body[3:])] == [{"choices": []}]


def test_one_json_value_a_line_stands_for_a_stream() -> None:
    [text] = texts(b'{"a": 1}\n{"a": 2}\n')
    assert parse_texts(text) == [{"a": 1}, {"a": 2}]


def test_data_lines_without_blank_lines_between_them_are_chunks_of_their_own() -> None:
    [text] = texts(b'data: {"a": 1}\ndata: {"a": 2}\ndata: [DONE]\n\n')
    assert parse_texts(text) == [{"a": 1}, {"a": 2}]


def test_a_page_of_html_is_no_reply_and_is_shown() -> None:
    with pytest.raises(OddBody, match="<html><title>Log in"):
        texts(b"<html><title>Log in</title>\n<body>please</body>\n")


def test_an_error_line_of_llama_cpp_is_an_error() -> None:
    assert json.loads(events(b'error: {"code": 500, "message": "no"}\n\n')[0])["error"]["message"] == "no"


@pytest.mark.parametrize("text", ["{nonsense", "[" * 100_000, '{"a": 1}\n{', "\ud800"])
def test_what_is_no_json_is_shown_bounded(text: str) -> None:
    with pytest.raises(OddBody) as caught:
        parse_texts(text)
    assert len(str(caught.value)) < 300
    str(caught.value).encode()


def test_a_piece_is_one_line_that_is_safe_to_show() -> None:
    assert "\x1b" not in show_piece("a\x1b[2J\nb")
    assert "\n" not in show_piece({"a": "x\ny"})
    assert len(show_piece(["x" * 10_000])) < 250
