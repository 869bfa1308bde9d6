"""Gives commands access to model servers: one of this machine, and any that the person names."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial

from aegis_tui.adapters.llm.key import ModelKey
from aegis_tui.adapters.llm.probe import probe_endpoint
from aegis_tui.adapters.vllm import server
from aegis_tui.application.model_server import look_at_server
from aegis_tui.domain.wire.machine import ServerOutput
from aegis_tui.ports.local_server import LocalServer
from aegis_tui.sdk.discovery import workspace_paths


def local_server(environ: Mapping[str, str]) -> LocalServer:
    """Return this user's vLLM server on this machine, which need not run; its settings come from the environment."""
    return server.VllmServer(workspace_paths("vllm", environ).state_dir, environ)


async def served_models(base_url: str) -> list[str]:
    """Return the names of the models that an endpoint lists; the model server's key is sent if set.

    Raises:
        ModelUnavailable: It does not answer as a model server does, or does not accept the key.
        UsageError: The address is not valid, or the key file cannot be used.
        Refused: The address lies outside the boundary.
    """
    return list((await probe_endpoint(base_url, find_key=ModelKey(os.environ).read)).models)


async def look_at(base_url: str) -> ServerOutput:
    """Return `endpoints` and `metrics` of a model server (contract 9); the model server's key is sent if set.

    A server that does not answer, or refuses the key, is returned as unhealthy. `metrics` is empty if it has none.

    Raises:
        UsageError: The address is not valid, or the key file cannot be used.
        Refused: The address lies outside the boundary.
    """
    probe = partial(probe_endpoint, find_key=ModelKey(os.environ).read)
    return await look_at_server(base_url, probe=probe, read_metrics=server.read_metrics)
