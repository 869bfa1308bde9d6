"""Commands about reviews, in the order in which they make sense; their output is frozen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest import mock

from aegis_tui.sdk.quick import HubQuick

COMMENTED: tuple[tuple[str, ...], ...] = (
    ("review", "comment", "alpha", "src/a/x.py:3", "why?"),
    ("review", "comment", "alpha", "src/a/x.py:1", "rename it"),
    ("review", "comments"),
    ("review", "discard", "alpha", "2"),
    ("review", "send", "alpha"),
)


def comment_on_lines(ask: Callable[..., Any]) -> None:
    """Comments that are noted, listed, discarded and sent, and a review that a whole hub would begin."""
    for words in COMMENTED:
        ask(*words)
    with mock.patch.object(HubQuick, "reply", lambda *_, **__: {"review_id": "run1-v99"}):
        ask("review", "request", "alpha")
