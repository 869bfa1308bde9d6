"""Reaches model servers for a person: asks one, starts one."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial
from typing import Any

from aegis_tui.adapters.llm.key import ModelKey
from aegis_tui.adapters.llm.probe import probe_endpoint
from aegis_tui.adapters.vllm import server
from aegis_tui.application.model_server import look_at_server
from aegis_tui.ports.local_server import LocalServer
from aegis_tui.sdk.discovery import workspace_paths


def local_server(environ: Mapping[str, str]) -> LocalServer:
    """The vLLM of this user on this machine; the environment has its settings."""
    return server.VllmServer(workspace_paths("vllm", environ).state_dir, environ)


async def served_models(base_url: str) -> list[str]:
    """The models that an endpoint lists.

    Raises:
        ModelUnavailable: It does not answer.
        UsageError: The address is none, or lies outside the boundary.
    """
    return list((await probe_endpoint(base_url, find_key=ModelKey(os.environ).read)).models)


async def look_at(base_url: str) -> dict[str, Any]:
    """The endpoint and the metrics of a model server, as contract 9 has them; the key is sent where there is one.

    Raises:
        UsageError: The address is none, or lies outside the boundary.
    """
    probe = partial(probe_endpoint, find_key=ModelKey(os.environ).read)
    return await look_at_server(base_url, probe=probe, read_metrics=server.read_metrics)
