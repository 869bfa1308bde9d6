"""Imports httpx without its command line, which would load click, rich and pygments.

These take a third of its import time. httpx works without them if they are not installed.
"""

from __future__ import annotations

import asyncio
import sys

sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]  # its import fails as if it were not installed

import httpx as httpx  # noqa: E402  # only after the line above

ANSWER_LIMIT_BYTES = 4 << 20
"""Far more than any list of models or page of metrics needs; a longer answer counts as endless."""

_OF_THE_TRANSFER = frozenset({"content-encoding", "content-length", "transfer-encoding"})
"""Headers that are no longer true for a body that has been read and decoded."""


class EndlessAnswer(httpx.HTTPError):
    """The server's answer is larger than `ANSWER_LIMIT_BYTES`."""

    def __init__(self) -> None:
        super().__init__(f"the answer is too long: more than {ANSWER_LIMIT_BYTES >> 20} MiB")


async def get_whole(client: httpx.AsyncClient, url: str, *, deadline_s: float) -> httpx.Response:
    """Get a whole small answer; size and total time are limited, whatever the server sends and however slowly.

    An answer with an error status is returned, not raised.

    Args:
        client: Sends the request.
        url: The URL to get.
        deadline_s: The limit for everything, in seconds; httpx's own limits restart with each byte.

    Raises:
        httpx.ReadTimeout: The answer was not complete in time.
        EndlessAnswer: The answer is larger than `ANSWER_LIMIT_BYTES`.
        httpx.HTTPError: The request failed (see `httpx.AsyncClient.get`).
        httpx.InvalidURL: `url` is not a URL.
    """
    body = bytearray()
    try:
        async with asyncio.timeout(deadline_s), client.stream("GET", url, timeout=deadline_s) as answer:
            async for chunk in answer.aiter_bytes():
                body += chunk
                if len(body) > ANSWER_LIMIT_BYTES:
                    raise EndlessAnswer
    except TimeoutError as error:
        raise httpx.ReadTimeout(f"no complete answer within {deadline_s:g} s") from error
    headers = [(name, value) for name, value in answer.headers.multi_items() if name not in _OF_THE_TRANSFER]
    return httpx.Response(answer.status_code, headers=headers, content=bytes(body), request=answer.request)


def needs_certificates(url: str) -> bool:
    """Return whether a client of `url` must verify certificates: False only for `http://`, in any case of letters.

    Pass it to httpx as `verify`: loading the certificates takes up to 130 ms.
    """
    return not url.lower().startswith("http://")
