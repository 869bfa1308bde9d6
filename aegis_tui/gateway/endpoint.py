"""What one model server reports about itself: models, metrics, what it can do. It is asked at most every 2 s.

Only one request of each kind runs at a time, and its answer serves all clients that asked in the meantime.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from aegis_tui.domain.endpoint import root_url
from aegis_tui.domain.metrics import EngineMeters, metrics_of, parse_metrics, rates
from aegis_tui.domain.wire.gateway import ModelMetrics
from aegis_tui.errors import AegisError
from aegis_tui.gateway.rejected import Rejected
from aegis_tui.gateway.upstream import Headers, Upstream
from aegis_tui.gateway.usage import parse_json

FRESH_S = 2.0
_TIMEOUT_S = 3.0
_PROBE_TIMEOUT_S = 30.0
_PRIORITY = 1
_SCRIPTED = "scripted"


class Abilities(NamedTuple):
    """What a model server can do for agents beyond answering them."""

    has_salt: bool = False
    """Whether it takes `cache_salt`, which keeps the prefix caches of workspaces apart."""
    has_priority: bool = False
    """Whether it works on requests with a lower `priority` first."""


class ServingEndpoint:
    """One model server.

    Args:
        url: Its base URL.
        upstream: Connections to it.
        key: Returns the header with its key, or raises `Rejected`.
    """

    def __init__(self, url: str, upstream: Upstream, key: Callable[[], Headers]) -> None:
        self.url = url
        self.abilities: Abilities | None = None
        """What it can do; None until `learn` has asked."""
        self._upstream, self._key = upstream, key
        self._models_lock, self._meters_lock = asyncio.Lock(), asyncio.Lock()
        self._models: tuple[list[str] | None, float] | None = None
        self._readings: list[tuple[EngineMeters, float]] = []
        self._read_at_s: float | None = None

    @property
    def model_names(self) -> list[str] | None:
        """The models that it listed last; None if it has not been asked, or did not answer."""
        return self._models[0] if self._models else None

    async def find_models(self) -> list[str] | None:
        """Return the names of the models that the server lists, at most 2 s old; empty if its answer holds no list.

        None if it does not answer with status 200 within 3 s, or its key cannot be read.
        """
        async with self._models_lock:
            if self._models is None or time.monotonic() - self._models[1] >= FRESH_S:
                body = await self._get(f"{self.url}/models")
                models = None if body is None else _model_names(parse_json(body))
                self._models = (models, time.monotonic())
            return self._models[0]

    async def readings(self) -> list[EngineMeters]:
        """Return the last two readings of the server's metrics, the older one first, the newer one at most 2 s old.

        Only one after the first request; none if the server does not answer with status 200 within 3 s, or its key
        cannot be read. If the server has started again since the older reading, that one is replaced by zeros, because
        its counters have begun anew.
        """
        async with self._meters_lock:
            if self._read_at_s is None or time.monotonic() - self._read_at_s >= FRESH_S:
                body = await self._get(f"{root_url(self.url)}/metrics")
                self._read_at_s = time.monotonic()
                if body is None:
                    self._readings.clear()
                else:
                    reading = parse_metrics(body.decode("utf-8", errors="replace"))
                    older = self._readings[-1:]
                    if older and reading.generation_tokens_total < older[0][0].generation_tokens_total:
                        older = [(EngineMeters(), older[0][1])]
                    self._readings = [*older, (reading, self._read_at_s)]
            return [reading for reading, _ in self._readings]

    @property
    def period_s(self) -> float:
        """Seconds between the two readings; 0 if there are fewer."""
        return self._readings[1][1] - self._readings[0][1] if len(self._readings) == 2 else 0.0

    async def meters(self) -> ModelMetrics:
        """Return the server's metrics by the names of contract 9, such as `running`, at most 2 s old. Raises nothing.

        None for each value that the server does not report, or that needs an earlier reading; empty if the server does
        not answer.
        """
        return meters_of(await self.readings(), self.period_s)

    async def learn(self, model: str | None) -> None:
        """Set `abilities` by asking the server, unless they are set already; None again if it does not list its models.

        Only a vLLM server is asked for more than its version: up to two replies of one token. Others are taken to have
        no abilities. Nothing is raised.

        Args:
            model: The model to try it with; None, or one that it does not list, for the first one that it lists.
        """
        names = await self.find_models()
        if names is None:
            self.abilities = None
            return
        if self.abilities is not None:
            return
        version = parse_json(await self._get(f"{root_url(self.url)}/version") or b"")
        number = version.get("version") if isinstance(version, dict) else None
        is_vllm = isinstance(number, str) and number[:1].isdigit() and not number.endswith(_SCRIPTED)
        chosen = model if model in names else next(iter(names), None)
        if not is_vllm or chosen is None:
            self.abilities = Abilities()
            return
        has_salt = await self._takes(chosen, cache_salt="probe")
        self.abilities = Abilities(has_salt, has_salt and await self._takes(chosen, priority=_PRIORITY))

    async def _takes(self, model: str, **fields: Any) -> bool:
        """Return whether the server answers a one-token request with these fields with status 200 within 30 s.

        A server without priorities refuses any but 0.
        """
        message = {"role": "user", "content": "Hi"}
        body = json.dumps({"model": model, "messages": [message], "max_tokens": 1, **fields}).encode()
        headers = ((b"Content-Type", b"application/json"),)
        url = f"{self.url}/chat/completions"
        return await self._ask("POST", url, headers=headers, body=body, timeout_s=_PROBE_TIMEOUT_S) is not None

    async def _get(self, url: str) -> bytes | None:
        return await self._ask("GET", url, timeout_s=_TIMEOUT_S)

    async def _ask(
        self, method: str, url: str, *, headers: Headers = (), body: bytes = b"", timeout_s: float
    ) -> bytes | None:
        """Return the body of an answer with status 200, or None: also on an error, without a usable key, or too late.

        Args:
            method: `GET` or `POST`.
            url: The full address, on this server.
            headers: Sent in addition to the key.
            body: The body of the request.
            timeout_s: The limit for everything, in seconds.
        """
        try:
            sent = [*headers, *self._key()]
            async with (
                asyncio.timeout(timeout_s),
                self._upstream.open(method, self.url, url, headers=sent, body=body, timeout_s=timeout_s) as answer,
            ):
                return await answer.whole() if answer.status == 200 else None
        except (AegisError, Rejected, TimeoutError):
            return None


def meters_of(readings: list[EngineMeters], period_s: float) -> ModelMetrics:
    """Return the meters of contract 9 by name, from one or two readings, the older one first; empty from none.

    Args:
        readings: The readings.
        period_s: The seconds between them. Values that are rates are None with one reading.
    """
    if not readings:
        return {}
    now, before = readings[-1], readings[0] if len(readings) == 2 else None
    return metrics_of(now, rates(before, now, period_s))


def _model_names(body: Any) -> list[str]:
    entries = body.get("data") if isinstance(body, dict) else None
    if not isinstance(entries, list):
        return []
    return [entry["id"] for entry in entries if isinstance(entry, dict) and isinstance(entry.get("id"), str)]
