"""Gives commands access to model servers: one of this machine, and any that the person names."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from aegis_tui.adapters.llm.key import ModelKey
from aegis_tui.adapters.llm.probe import probe_endpoint
from aegis_tui.adapters.vllm import server
from aegis_tui.adapters.vllm.cards import find_cards
from aegis_tui.adapters.vllm.environment import environment_folder, set_up, setup_commands
from aegis_tui.adapters.vllm.model_files import ModelFiles, find_model
from aegis_tui.application.model_server import look_at_server
from aegis_tui.domain.wire.machine import CardFields, ServerOutput, SetupOutput
from aegis_tui.ports.local_server import LocalServer
from aegis_tui.sdk.discovery import workspace_paths


def local_server(environ: Mapping[str, str]) -> LocalServer:
    """Return this user's vLLM server on this machine, which need not run; nothing is read or started yet.

    Args:
        environ: The environment that the server inherits; its settings come from it, and are checked when it is
            started.
    """
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
    """Return `endpoints` and `metrics` of one model server (contract 9); the model server's key is sent if set.

    A server that does not answer, or refuses the key, is returned as unhealthy. `metrics` is empty if it has none.

    Args:
        base_url: Its address.

    Raises:
        UsageError: The address is not valid, or the key file cannot be used.
        Refused: The address lies outside the boundary.
    """
    probe = partial(probe_endpoint, find_key=ModelKey(os.environ).read)
    return await look_at_server(base_url, probe=probe, read_metrics=server.read_metrics)


def model_key(environ: Mapping[str, str]) -> str:
    """Return the model server's key; empty if there is none.

    Raises:
        UsageError: The settings or the key file cannot be used.
    """
    return ModelKey(environ).read()


def model_files(model: str, config: Path | None) -> ModelFiles:
    """Return the `config.json` of a model on this machine and the size of its weights; nothing is downloaded.

    Args:
        model: A folder; or a name, which is looked up in the cache of Hugging Face.
        config: Its `config.json`, if it is elsewhere; the size of the weights is then not known.

    Raises:
        UsageError: It is not on this machine, or its `config.json` cannot be read.
    """
    return find_model(model, os.environ, config=config)


def cards() -> list[CardFields]:
    """Return the accelerators of this machine; empty if there are none, or they cannot be asked. Blocking.

    Starts the driver's program to ask.
    """
    return find_cards(os.environ)


def set_up_vllm(package: str, *, only_print: bool) -> SetupOutput:
    """Create an environment for vLLM, or use the one that exists, and install a package into it. Blocking, for minutes.

    The environment is the same for all repositories of the user. What the commands print goes to stderr.

    Args:
        package: A requirement, or the path of a wheel.
        only_print: Do nothing, and return what would be done.

    Returns:
        The path of the program `vllm`, and the commands.

    Raises:
        Unavailable: A command failed, or the package brings no program `vllm`.
        OSError: A command cannot be started, or the folder cannot be created.
    """
    folder = environment_folder(os.environ)
    commands = setup_commands(folder, package)
    program = folder / "bin" / "vllm" if only_print else set_up(folder, package, os.environ)
    return SetupOutput(program=str(program), commands=commands)
