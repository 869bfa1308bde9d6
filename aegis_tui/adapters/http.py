"""httpx as this program imports it: without its command line, which brings click, rich and pygments.

They are a third of the time of its import. httpx itself does without where they are not installed.
"""

from __future__ import annotations

import asyncio
import sys

sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]  # an import of it fails as if it were not there

import httpx as httpx  # noqa: E402  # only after the line above

ANSWER_LIMIT_BYTES = 4 << 20
"""Far more than any list of models or page of metrics; more is a server that does not end its answer."""

_OF_THE_TRANSFER = frozenset({"content-encoding", "content-length", "transfer-encoding"})
"""What no longer holds of a body that has been read."""


class EndlessAnswer(httpx.HTTPError):
    """A server whose answer is larger than any that was asked for."""

    def __init__(self) -> None:
        super().__init__(f"the answer does not end: more than {ANSWER_LIMIT_BYTES >> 20} MiB")


async def get_whole(client: httpx.AsyncClient, url: str, *, deadline_s: float) -> httpx.Response:
    """A small answer, whole: bounded in size and in time, whatever the server sends and however slowly.

    Args:
        client: Asks.
        url: What is asked for.
        deadline_s: For all of it, in seconds; httpx's own limits begin anew with each byte.

    Raises:
        httpx.ReadTimeout: It was not there in time.
        EndlessAnswer: It is larger than `ANSWER_LIMIT_BYTES`.
        httpx.HTTPError: As `httpx.AsyncClient.get`.
    """
    body = bytearray()
    try:
        async with asyncio.timeout(deadline_s), client.stream("GET", url, timeout=deadline_s) as answer:
            async for chunk in answer.aiter_bytes():
                body += chunk
                if len(body) > ANSWER_LIMIT_BYTES:
                    raise EndlessAnswer
    except TimeoutError as error:
        raise httpx.ReadTimeout(f"no whole answer within {deadline_s:g} s") from error
    headers = [(name, value) for name, value in answer.headers.multi_items() if name not in _OF_THE_TRANSFER]
    return httpx.Response(answer.status_code, headers=headers, content=bytes(body), request=answer.request)


def needs_certificates(url: str) -> bool:
    """Whether a client of `url` has to verify certificates: reading them takes up to 130 ms, which plain HTTP need not.

    Handed to httpx as `verify`.
    """
    return not url.lower().startswith("http://")
