"""Connects the doctor's checks of this machine to their adapters."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from aegis_tui.adapters.agents.installed import describe_kinds
from aegis_tui.adapters.git.repository import open_repository
from aegis_tui.adapters.leftovers import find_leftovers
from aegis_tui.adapters.llm.key import ModelKey
from aegis_tui.adapters.llm.openai import OpenAIChat
from aegis_tui.adapters.llm.probe import probe_endpoint
from aegis_tui.adapters.llm.trial import try_model
from aegis_tui.adapters.program import SubprocessRunner
from aegis_tui.adapters.sandbox.bubblewrap import BubblewrapSandbox
from aegis_tui.adapters.tmux.config import folder_problem
from aegis_tui.application.check import Check
from aegis_tui.application.doctor import Doctor
from aegis_tui.application.model_check import ModelCheck
from aegis_tui.bootstrap.checkout import worktree_checks_at
from aegis_tui.bootstrap.environment import environment_checks_at
from aegis_tui.bootstrap.log import look_at_log
from aegis_tui.config import Settings
from aegis_tui.errors import AegisError
from aegis_tui.orchestrator.model_choice import ModelChooser
from aegis_tui.orchestrator.objection import objection
from aegis_tui.sdk.discovery import find_process, workspace_key_of, workspace_paths


async def _repository_problem(folder: Path) -> AegisError | None:
    """Return why no run can work in a folder's repository, or why it cannot be examined; None if nothing is wrong."""
    try:
        return objection(await (await open_repository(folder)).condition())
    except AegisError as error:
        return error


def make_doctor(settings: Settings, folder: Path, environ: Mapping[str, str], *, proc: Path = Path("/proc")) -> Doctor:
    """Return the `Doctor` of this machine; it has examined nothing yet.

    Args:
        settings: The person's settings.
        folder: The person's current folder.
        environ: The environment.
        proc: The folder of the proc file system; only tests give another.
    """
    return Doctor(
        programs=SubprocessRunner(),
        sandbox=BubblewrapSandbox(environ, settings.limits),
        examine_model=make_model_check(settings, folder, environ).examine,
        find_tmux_problem=lambda: folder_problem(environ.get("TMUX_TMPDIR"), f"aegis-{'0' * 12}"),
        find_repository_problem=_repository_problem,
        settings=settings,
        environ=environ,
        folder=folder,
        state_dir=workspace_paths("doctor", environ).state_dir.parent,
        describe_kinds=partial(describe_kinds, environ),
        find_leftovers=partial(find_leftovers, environ),
        look_at_log=partial(look_at_log, environ=environ),
        look_at_environment=partial(_checks_at, settings=settings, environ=environ),
        find_hub_port=partial(_find_hub_port, environ=environ),
        proc=proc,
    )


def _find_hub_port(folder: Path, *, environ: Mapping[str, str]) -> int | None:
    """Return the port of the hub that runs for the repository of a folder; None without a hub or a repository."""
    try:
        hub = find_process(workspace_paths(workspace_key_of(folder), environ))
    except (AegisError, OSError):  # other checks report these
        return None
    return None if hub is None else urlsplit(hub.url).port


def make_model_check(settings: Settings, folder: Path, environ: Mapping[str, str]) -> ModelCheck:
    """Return the check of the model server of the settings, for a person in `folder`; it has asked nothing yet."""
    key = ModelKey(environ)
    return ModelCheck(
        probe_endpoint=partial(probe_endpoint, find_key=key.read),
        open_model=lambda url: OpenAIChat(url, attempts=1, api_key=key.read()),
        chooser=ModelChooser(partial(try_model, find_key=key.read)),
        find_key_warnings=lambda: key.warnings(folder),
        settings=settings,
    )


async def _checks_at(folder: Path, *, settings: Settings, environ: Mapping[str, str]) -> list[Check]:
    """Return the checks of the worktrees of a folder's repository: what they get and how much space they take.

    Empty outside a repository.
    """
    return [
        *await environment_checks_at(folder, environ),
        *await worktree_checks_at(folder, settings.worktrees.budget_mb, environ),
    ]
