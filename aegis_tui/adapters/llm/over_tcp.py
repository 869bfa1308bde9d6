"""Calls of a model server over TCP, by httpx."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager

from aegis_tui.adapters.http import httpx, needs_certificates
from aegis_tui.adapters.llm.http_call import HttpAnswer, HttpFailed


class TcpClient:
    """An `HttpClient` of one server; redirects are not followed, and no proxy of the environment is used.

    Args:
        base_url: `http://` or `https://`, ending in a slash.
        headers: Sent with each request.
        idle_timeout_s: Seconds without data after which an answer counts as lost.
        connect_timeout_s: How long connecting may take, in seconds.
    """

    def __init__(
        self, base_url: str, headers: Mapping[str, str], *, idle_timeout_s: float, connect_timeout_s: float
    ) -> None:
        self._root = base_url.removesuffix("/").removesuffix("/v1")
        self._http = httpx.AsyncClient(
            base_url=base_url,
            transport=httpx.AsyncHTTPTransport(verify=needs_certificates(base_url)),
            headers=dict(headers),
            timeout=httpx.Timeout(idle_timeout_s, connect=connect_timeout_s),
            trust_env=False,
        )

    @asynccontextmanager
    async def ask(self, method: str, path: str, body: bytes | None = None) -> AsyncIterator[HttpAnswer]:
        """Send a request; entering the context waits for the headers of the answer, leaving it ends the call.

        Args:
            method: `GET` or `POST`.
            path: The path, relative to the base URL; one that begins with a slash, to the base URL without `/v1/`.
            body: JSON; None for no body.

        Raises:
            HttpFailed: On entering: there is no connection, or it broke or was silent too long before the headers.
        """
        headers = {"Content-Type": "application/json"} if body is not None else {}
        url = f"{self._root}{path}" if path.startswith("/") else path
        try:
            async with self._http.stream(method, url, content=body, headers=headers) as response:
                yield TcpAnswer(response)
        except httpx.HTTPError as error:
            raise HttpFailed(type(error).__name__) from error

    async def close(self) -> None:
        """Close the connections; a second call does nothing."""
        await self._http.aclose()


class TcpAnswer:
    """An `HttpAnswer` that httpx receives."""

    def __init__(self, response: httpx.Response) -> None:
        self._response = response
        self.status = response.status_code
        self.headers: Mapping[str, str] = dict(response.headers)

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """Yield the body as it arrives, decompressed; call it once.

        Raises:
            HttpFailed: The connection broke before the end of the body, nothing was received for too long, or it cannot
                be decompressed.
        """
        try:
            async for chunk in self._response.aiter_bytes():
                yield chunk
        except httpx.HTTPError as error:
            raise HttpFailed(type(error).__name__) from error
