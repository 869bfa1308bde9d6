"""One caller cannot take the gateway's memory: its calls at once and their bodies are bounded (SEC-3)."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from aegis_tui.gateway import share
from aegis_tui.gateway.rejected import Rejected
from aegis_tui.gateway.request_body import RequestBody
from aegis_tui.gateway.share import Shares


def nothing() -> None:
    """There is no connection to pause."""


def body_of(*parts: bytes) -> RequestBody:
    body = RequestBody(nothing, nothing)
    for part in parts:
        body.feed(part)
    body.end()
    return body


@pytest.mark.boundary(
    layer="limits",
    tried="hundreds of simultaneous model calls, and bodies of tens of megabytes, with one token at the gateway",
    refused="429 beyond 256 running calls or 128 MiB; the calls of others continue",
)
def test_a_caller_over_its_share_is_refused_and_others_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(share, "MOST_BYTES", 100)
    shares = Shares(2)

    async def main() -> None:
        with shares.hold("w01") as first:
            assert len(await body_of(b"x" * 60).read(first.take)) == 60
            with pytest.raises(Rejected) as caught, shares.hold("w01") as second:
                await body_of(b"x" * 30, b"x" * 30).read(second.take)
            assert caught.value.status == 429
            with shares.hold("w02") as other:
                assert len(await body_of(b"x" * 90).read(other.take)) == 90
            with shares.hold("w01") as again:
                assert len(await body_of(b"x" * 40).read(again.take)) == 40
                with pytest.raises(Rejected), shares.hold("w01"):
                    pass

    asyncio.run(main())


def test_a_share_is_whole_again_after_its_calls_whatever_became_of_them() -> None:
    shares = Shares()
    for _ in range(3):
        with contextlib.suppress(RuntimeError), shares.hold("w01") as taken:
            taken.take(share.MOST_BYTES)
            raise RuntimeError
    assert not shares._calls and not shares._held
