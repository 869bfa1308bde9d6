"""What the model server reports about itself: models, health, metrics. It is asked at most every 2 s.

Only one request of each kind runs at a time, and its answer serves all clients that asked in the meantime.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

from aegis_tui.domain.endpoint import root_url
from aegis_tui.domain.metrics import EngineMeters, metrics_of, parse_metrics, rates
from aegis_tui.domain.wire.gateway import ModelMetrics, ServerEndpoint
from aegis_tui.errors import AegisError, UsageError
from aegis_tui.gateway.access import AccessMap
from aegis_tui.gateway.rejected import Rejected
from aegis_tui.gateway.upstream import Headers, Upstream
from aegis_tui.gateway.usage import parse_json
from aegis_tui.sdk.key_file import read_key

_LOG = logging.getLogger(__name__)

_FRESH_S = 2.0
_TIMEOUT_S = 3.0


def upstream_url(access: AccessMap) -> str:
    """Return the base URL of the model server.

    Raises:
        Rejected: None is configured (503, `model.unavailable`).
    """
    base_url = access.current.upstream
    if not base_url:
        raise Rejected(503, "model.unavailable", "no model server is configured", "set AEGIS_BASE_URL")
    return base_url


def upstream_key(access: AccessMap) -> Headers:
    """Return the authorization header for the model server, read from its file each time; empty if it needs no key.

    Raises:
        Rejected: The key file is not usable (503, `model.key`). The client does not learn its path.
    """
    path = access.current.upstream_token_file
    if path is None:
        return ()
    try:
        key = read_key(path)
    except UsageError as error:
        _LOG.warning("the key of the model server is not usable", extra={"reason": error.message})
        raise Rejected(
            503, "model.key", "the key file of the model server is not usable", "aegis-tui doctor"
        ) from error
    return ((b"Authorization", f"Bearer {key}".encode()),)


class EngineFacts:
    """The data about the model server that `GET /healthz` and `GET /v1/meters` show."""

    def __init__(self, access: AccessMap, upstream: Upstream) -> None:
        self._access = access
        self._upstream = upstream
        self._health_lock = asyncio.Lock()
        self._meters_lock = asyncio.Lock()
        self._models: tuple[str, list[str] | None, float] = ("", None, 0.0)
        self._reading: tuple[EngineMeters, float] | None = None
        self._meters: tuple[str, ModelMetrics, float] = ("", {}, 0.0)

    async def model(self) -> str | None:
        """Return the model for requests that name none: the configured one, else the first that the server lists.

        None if none is configured and the server does not answer within 3 s or lists none; nothing is raised.
        """
        return self._access.current.model or next(iter(await self.find_models() or []), None)

    async def endpoints(self) -> list[ServerEndpoint]:
        """Return url, model and health of each endpoint (contract 9): one entry, or none if no server is configured.

        It is healthy if it answers the request for its models with status 200 within 3 s; that is asked at most every
        2 s. Its `model` is the one for requests that name none; None if there is no such. Nothing is raised.
        """
        current = self._access.current
        if not current.upstream:
            return []
        models = await self.find_models()
        model = current.model or next(iter(models or []), None)
        return [{"url": current.upstream, "model": model, "healthy": models is not None}]

    async def meters(self) -> ModelMetrics:
        """Return running, waiting, kv_cache, prefix_hit_rate, tokens_per_s and ttft_s, at most 2 s old (contract 9).

        Returns:
            None for each value that the server does not report, or that needs an earlier reading to compare with; an
            empty dict if it does not answer with status 200 within 3 s, its key cannot be read, or none is configured.
        """
        async with self._meters_lock:
            base_url, meters, at_s = self._meters
            current = self._access.current.upstream
            if base_url != current:
                self._reading = None
            elif time.monotonic() - at_s < _FRESH_S:
                return meters
            meters = await self._scrape(current)
            self._meters = (current, meters, time.monotonic())
            return meters

    async def _scrape(self, base_url: str) -> ModelMetrics:
        body = await self._get(base_url, f"{root_url(base_url)}/metrics")
        now_s = time.monotonic()
        if body is None:
            self._reading = None
            return {}
        reading = parse_metrics(body.decode("utf-8", errors="replace"))
        before, before_s = self._reading or (None, now_s)
        self._reading = (reading, now_s)
        return metrics_of(reading, rates(before, reading, now_s - before_s))

    async def find_models(self) -> list[str] | None:
        """Return the names of the models that the server lists, at most 2 s old; empty if its answer holds no list.

        None if it does not answer with status 200 within 3 s, its key cannot be read, or none is configured.
        """
        async with self._health_lock:
            base_url, models, at_s = self._models
            current = self._access.current.upstream
            if base_url == current and time.monotonic() - at_s < _FRESH_S:
                return models
            body = await self._get(current, f"{current}/models")
            models = None if body is None else _model_names(parse_json(body))
            self._models = (current, models, time.monotonic())
            return models

    async def _get(self, base_url: str, url: str) -> bytes | None:
        """Return the body of an answer with status 200, or None: also on an error, without a usable key, or after 3 s.

        Args:
            base_url: The model server; if it is empty, nothing is asked.
            url: The full address to get, on that server.
        """
        if not base_url:
            return None
        try:
            async with (
                asyncio.timeout(_TIMEOUT_S),
                self._upstream.open(
                    "GET", base_url, url, headers=upstream_key(self._access), timeout_s=_TIMEOUT_S
                ) as answer,
            ):
                return await answer.whole() if answer.status == 200 else None
        except (AegisError, Rejected, TimeoutError):
            return None


def _model_names(body: Any) -> list[str]:
    entries = body.get("data") if isinstance(body, dict) else None
    if not isinstance(entries, list):
        return []
    return [entry["id"] for entry in entries if isinstance(entry, dict) and isinstance(entry.get("id"), str)]
