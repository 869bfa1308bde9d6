"""What is read of a stream in passing, wherever the network has cut it."""

from __future__ import annotations

import pytest

from aegis_tui.gateway import usage
from aegis_tui.gateway.usage import LineSplitter, StreamTap, TokenUsage
from tests.gateway.conftest import CHAT_STREAM, MESSAGES_STREAM, RESPONSES_STREAM


@pytest.mark.parametrize("step", [1, 2, 3, 7, 64, 10_000])
@pytest.mark.parametrize(
    ("stream", "counts"),
    [(CHAT_STREAM, (100, 7, 64)), (MESSAGES_STREAM, (100, 9, 80)), (RESPONSES_STREAM, (50, 5, 32))],
    ids=["chat", "messages", "responses"],
)
def test_counts_and_the_end_are_found_however_a_stream_is_cut(
    stream: bytes, counts: tuple[int, int, int], step: int
) -> None:
    found = TokenUsage()
    tap = StreamTap(found)
    for at in range(0, len(stream), step):
        tap.feed(stream[at : at + step])
    tap.end()
    assert (found.prompt_tokens, found.completion_tokens, found.cached_tokens) == counts
    assert tap.ended_well


@pytest.mark.parametrize("step", [1, 5, 1000])
def test_a_line_that_is_too_long_is_skipped_and_the_next_one_read(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    monkeypatch.setattr(usage, "LINE_LIMIT_BYTES", 100)
    long = b'data: {"usage": {"prompt_tokens": 1, "completion_tokens": 1}, "x": "' + b"y" * 5000 + b'"}'
    stream = long + b'\ndata: {"usage": {"prompt_tokens": 5, "completion_tokens": 2}}\n\ndata: [DONE]'
    found = TokenUsage()
    tap = StreamTap(found)
    for at in range(0, len(stream), step):
        tap.feed(stream[at : at + step])
    assert (found.prompt_tokens, found.completion_tokens, tap.ended_well) == (5, 2, False)
    tap.end()
    assert tap.ended_well


def test_a_line_in_a_million_parts_is_put_together_once() -> None:
    """Parts that were joined anew for each one would be copied 100,000 times on average."""
    splitter = LineSplitter()
    for _ in range(1_000_000):
        assert not splitter.feed(b"x" * 8)
    assert splitter.feed(b"\nnext") == [b"x" * 8_000_000]
    assert splitter.take_rest() == b"next"
