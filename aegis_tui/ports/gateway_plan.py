"""What the hub tells the model gateway: who may call, which servers serve, and what each may use (LLM-8, LLM-10)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

BUDGET_NAMES = ("instance_tokens", "instance_minutes", "run_tokens", "run_minutes")
"""The limits of a budget: tokens of prompts and replies together, and minutes since the first call."""


class GatewayPlan(NamedTuple):
    """What the state of the workspace and the person's settings ask of the gateway."""

    upstream: str = ""
    """Base URL of the model server; empty if none is configured."""
    model: str | None = None
    """Model for requests that name none; None for the first one that the server lists."""
    instances: Mapping[str, str] = {}
    """Token hash -> agent id, of every living instance."""
    allowed: Mapping[str, Sequence[str]] = {}
    """Agent id -> the addresses outside, as `host:port`, that the instance may reach (SEC-4)."""
    more: Sequence[str] = ()
    """Base URLs of further servers for the same models."""
    urgencies: Mapping[str, int] = {}
    """Agent id -> how many others its work keeps waiting; only those above 0."""
    runs: Mapping[str, str] = {}
    """Agent id -> run, of the instances of the current run, also those that have ended."""
    budget: Mapping[str, float] = {}
    """The limits of that run and of each of its instances, by the names in `BUDGET_NAMES`; those that are set."""
    kept_mb: int | None = None
    """How much the texts of calls may take on disk, in MiB; 0 deletes them. None if it is not known."""

    def fields(self) -> dict[str, Any]:
        """Return field name -> value for every field, unchanged: the content of the gateway's `gateway-map.json`."""
        return self._asdict()
