"""The pause that a server asks for (RFC 9110, 10.2.3)."""

from __future__ import annotations

from email.utils import formatdate
from time import time

from aegis_tui.sdk.retry_after import parse_retry_after


def test_retry_after_is_a_number_a_fraction_or_a_date() -> None:
    assert parse_retry_after({"retry-after": "7"}) == 7.0
    assert parse_retry_after({"retry-after": "0.5"}) == 0.5
    dated = parse_retry_after({"retry-after": formatdate(time() + 30, usegmt=True)})
    assert dated is not None and 25 < dated <= 30
    assert parse_retry_after({"retry-after": formatdate(time() - 30, usegmt=True)}) == 0.0
    for nothing in ("", "soon", "nan", "Wed, 99 Foo 2026"):
        assert parse_retry_after({"retry-after": nothing}) is None
