"""The model servers of the gateway's map: their models, health and metrics, one by one and together."""

from __future__ import annotations

import asyncio
import logging

from aegis_tui.domain.metrics import EngineMeters, metrics_of, rates, summed
from aegis_tui.domain.wire.gateway import ModelMetrics, ServerEndpoint
from aegis_tui.errors import UsageError
from aegis_tui.gateway.access import AccessMap
from aegis_tui.gateway.endpoint import ServingEndpoint, meters_of
from aegis_tui.gateway.rejected import Rejected
from aegis_tui.gateway.upstream import Headers, Upstream
from aegis_tui.sdk.key_file import read_key

_LOG = logging.getLogger(__name__)

_LEARN_S = 0.5


def upstream_url(access: AccessMap) -> str:
    """Return the base URL of the first model server.

    Raises:
        Rejected: None is configured (503, `model.unavailable`).
    """
    base_url = access.current.upstream
    if not base_url:
        raise Rejected(503, "model.unavailable", "no model server is configured", "set AEGIS_BASE_URL")
    return base_url


def upstream_key(access: AccessMap) -> Headers:
    """Return the authorization header for the model servers, read from its file each time; empty if they need no key.

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
    """The model servers that the map names."""

    def __init__(self, access: AccessMap, upstream: Upstream) -> None:
        self._access = access
        self._upstream = upstream
        self._endpoints: dict[str, ServingEndpoint] = {}

    def all(self) -> list[ServingEndpoint]:
        """Return the model servers, one for each base URL of the map, the first one named first.

        Empty if none is configured. A server keeps its object, and with it what is known about it, as long as its URL
        stays in the map.
        """
        urls = self._access.current.upstreams
        if list(self._endpoints) != urls:
            self._endpoints = {url: self._endpoints.get(url) or self._new(url) for url in urls}
        return list(self._endpoints.values())

    def _new(self, url: str) -> ServingEndpoint:
        return ServingEndpoint(url, self._upstream, lambda: upstream_key(self._access))

    async def model(self) -> str | None:
        """Return the model for requests that name none: the configured one, else the first that a server lists.

        None if none is configured and no server answers within 3 s or lists one; nothing is raised.
        """
        return self._access.current.model or next(iter(await self.find_models() or []), None)

    async def endpoints(self) -> list[ServerEndpoint]:
        """Return url, model and health of each model server (contract 9); empty if none is configured.

        It is healthy if it answers the request for its models with status 200 within 3 s; that is asked at most every
        2 s. Its `model` is the one for requests that name none; None if there is no such. Nothing is raised.
        """
        endpoints = self.all()
        listed = await asyncio.gather(*(endpoint.find_models() for endpoint in endpoints))
        wanted = self._access.current.model
        return [
            {"url": endpoint.url, "model": wanted or next(iter(names or []), None), "healthy": names is not None}
            for endpoint, names in zip(endpoints, listed, strict=True)
        ]

    async def meters(self) -> tuple[ModelMetrics, list[ModelMetrics]]:
        """Return the metrics of all servers together, and of each one, at most 2 s old (contract 9). Raises nothing.

        Returns:
            First the metrics as if the servers that answer were one; empty if none answers. Then those of each server,
            in the order of `all`; empty for one that does not answer with status 200 within 3 s, or whose key cannot be
            read. Metrics that are not empty have `running` and `waiting` (requests), `kv_cache` and `prefix_hit_rate`
            (0 to 1), `tokens_per_s` and `ttft_s`; a value is None if no server reports it, or if it needs an earlier
            reading to compare with.
        """
        endpoints = self.all()
        readings = await asyncio.gather(*(endpoint.readings() for endpoint in endpoints))
        each = [meters_of(reading, endpoint.period_s) for reading, endpoint in zip(readings, endpoints, strict=True)]
        if len(endpoints) == 1:
            return each[0], each
        known = [(reading, endpoint.period_s) for reading, endpoint in zip(readings, endpoints, strict=True) if reading]
        return _together(known), each

    async def find_models(self) -> list[str] | None:
        """Return the names of the models that the servers list, each once, in the order of the servers.

        None if no server answers, or none is configured. Nothing is raised.
        """
        listed = await asyncio.gather(*(endpoint.find_models() for endpoint in self.all()))
        known = [names for names in listed if names is not None]
        return list(dict.fromkeys(name for names in known for name in names)) if known else None

    async def keep_learning(self) -> None:
        """Ask each server of the map what it can do, until cancelled (see `ServingEndpoint.learn`). Never returns.

        A server is asked while its `abilities` are None; new servers are looked for every half second.
        """
        while True:
            for endpoint in self.all():
                if endpoint.abilities is None:
                    await endpoint.learn(self._access.current.model)
            await asyncio.sleep(_LEARN_S)


def _together(known: list[tuple[list[EngineMeters], float]]) -> ModelMetrics:
    """Return the metrics of several servers as if they were one; empty without a reading.

    Args:
        known: For each server its one or two readings, the older one first, and the seconds between them. A rate is
            computed from servers with two readings only; None if there is no such.
    """
    twice = [(readings, period_s) for readings, period_s in known if len(readings) == 2 and period_s > 0]
    if not twice:
        return meters_of([summed([readings[-1] for readings, _ in known])] if known else [], 0.0)
    before, after = (summed([readings[at] for readings, _ in twice]) for at in (0, 1))
    mean_period_s = sum(period_s for _, period_s in twice) / len(twice)
    now = summed([readings[-1] for readings, _ in known])
    return metrics_of(now, rates(before, after, mean_period_s))
