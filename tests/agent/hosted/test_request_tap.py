"""The bodies of requests are read from a connection however it is cut into pieces (RFC 9112)."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from aegis_tui.agent.hosted.request_tap import RequestTap

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
    tap, found = RequestTap(), []
    places = [0, *sorted(cut for cut in cuts if cut < len(stream)), len(stream)]
    for start, end in pairwise(places):
        found += tap.feed(stream[start:end])
    assert found == [body for body, _, _ in bodies if body]


@given(st.binary(max_size=2000))
def test_whatever_comes_it_raises_nothing(data: bytes) -> None:
    RequestTap().feed(data)
