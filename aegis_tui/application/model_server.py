"""Reports which models a model server serves and how busy it is (LLM-6, contract 9)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from aegis_tui.domain.endpoint import normalise_base_url
from aegis_tui.domain.metrics import metrics_of, parse_metrics, rates
from aegis_tui.domain.wire.gateway import ServerEndpoint
from aegis_tui.domain.wire.machine import ServerOutput
from aegis_tui.errors import ModelUnavailable
from aegis_tui.ports.model_server import ProbeEndpoint

BETWEEN_READINGS_S = 0.5

ReadMetrics = Callable[[str], Awaitable[str | None]]
"""Takes a base URL; returns the text of its `/metrics`, or None if there is none."""


async def look_at_server(base_url: str, *, probe: ProbeEndpoint, read_metrics: ReadMetrics) -> ServerOutput:
    """Return `endpoints` and `metrics` of a model server (contract 9); the address is checked before a request.

    A server that does not answer, or refuses the key, is returned as unhealthy. `metrics` is empty if it has none.
    Takes at least half a second for a server that answers.

    Args:
        base_url: With or without `/v1`.
        probe: Checks the address and asks the server for its models.
        read_metrics: Reads its metrics; called twice, half a second apart, for the rates.

    Raises:
        UsageError: The address is not valid, or the key file cannot be used.
        Refused: The address lies outside the boundary.
    """
    url = normalise_base_url(base_url)
    try:
        probed = await probe(url)
    except ModelUnavailable:
        return {"endpoints": [{"url": url, "model": None, "healthy": False}], "metrics": {}}
    endpoint: ServerEndpoint = {"url": url, "model": next(iter(probed.models), None), "healthy": True}
    first, at_s = await read_metrics(url), time.monotonic()
    await asyncio.sleep(BETWEEN_READINGS_S)
    second, now_s = await read_metrics(url), time.monotonic()
    if first is None or second is None:
        return {"endpoints": [endpoint], "metrics": {}}
    reading = parse_metrics(second)
    rate = rates(parse_metrics(first), reading, now_s - at_s)
    return {"endpoints": [endpoint], "metrics": metrics_of(reading, rate)}
