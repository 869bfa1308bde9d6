"""Requests and answers are read from a connection however it is cut into pieces (RFC 9112)."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aegis_tui.agent.hosted.message_tap import MessageTap, status_of

Bodies = st.lists(st.tuples(st.binary(max_size=80), st.booleans(), st.integers(1, 9)), max_size=5)


def written(body: bytes, *, chunked: bool, size: int) -> bytes:
    if not chunked:
        return b"POST /v1/x HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    chunks = b"".join(b"%x;a=b\r\n%b\r\n" % (len(part), part) for part in parts)
    return b"POST /v1/x HTTP/1.1\r\ntransfer-encoding: Chunked\r\n\r\n" + chunks + b"0\r\n\r\n"


@given(Bodies, st.lists(st.integers(0, 400), max_size=20))
def test_every_body_is_read_whole_and_once(bodies: list[tuple[bytes, bool, int]], cuts: list[int]) -> None:
    stream = b"".join(written(body, chunked=chunked, size=size) for body, chunked, size in bodies)
    tap, found = MessageTap(), []
    places = [0, *sorted(cut for cut in cuts if cut < len(stream)), len(stream)]
    for start, end in pairwise(places):
        found += tap.feed(stream[start:end])
    assert [item.body for item in found if item.start.startswith(b"POST ")] == [body for body, _, _ in bodies]
    assert all(not item.body for item in found if not item.start.startswith(b"POST "))


@given(st.binary(max_size=2000))
def test_whatever_comes_it_raises_nothing(data: bytes) -> None:
    MessageTap().feed(data)


@pytest.mark.parametrize(
    "head",
    [b"Content-Length: " + b"9" * 5000, b"Content-Length: -5", b"Transfer-Encoding: chunked\r\n\r\n-5"],
    ids=["endless", "negative", "negative chunk"],
)
def test_a_length_that_cannot_be_makes_it_ignore_the_connection(head: bytes) -> None:
    tap = MessageTap()
    assert tap.feed(b"POST /v1/x HTTP/1.1\r\n" + head + b"\r\n\r\n") == []
    assert tap.feed(written(b"later", chunked=False, size=1)) == []


ANSWERS = (
    b"HTTP/1.1 100 Continue\r\n\r\n"
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-End: 1\r\n\r\n"
    b"HTTP/1.1 204 No Content\r\nContent-Length: 9\r\n\r\n"
    b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 30\r\nContent-Length: 4\r\n\r\nlate"
)


@given(st.lists(st.integers(0, len(ANSWERS)), max_size=20))
def test_answers_have_a_status_and_only_the_wanted_bodies(cuts: list[int]) -> None:
    tap, found = MessageTap(lambda start: status_of(start) >= 400), []
    for first, last in pairwise([0, *sorted(cuts), len(ANSWERS)]):
        found += tap.feed(ANSWERS[first:last])
    answers = [item for item in found if item.status]
    assert [(item.status, item.body) for item in answers] == [(100, b""), (200, b""), (204, b""), (429, b"late")]
    assert answers[-1].fields[b"retry-after"] == b"30"
