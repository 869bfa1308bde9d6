"""Connects the hub to the spec files of the checkout. Imported once the hub serves: it loads YAML (PERF-3)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from aegis_tui.adapters.consultant import ChildConsultant
from aegis_tui.application.run_options import run_options
from aegis_tui.application.spec_folder import SpecFolder
from aegis_tui.bootstrap.checkout import read_patches_at
from aegis_tui.config import load_settings
from aegis_tui.hub.consulting import ConsultService
from aegis_tui.hub.spec_runs import Prepare
from aegis_tui.hub.specs import SpecService


def watch_specs(root: Path, environ: Mapping[str, str], prepare: Prepare) -> SpecService:
    """Return the service for the specs of the checkout at `root`, not yet started.

    Args:
        root: The worktree that the hub was started in; the person's.
        environ: The hub's environment.
        prepare: Completes a `run:start`.
    """
    read_patches = partial(read_patches_at, root)
    return SpecService(SpecFolder(root), prepare, partial(_options, root, environ), read_patches)


def consult_on_specs(root: Path, environ: Mapping[str, str]) -> ConsultService:
    """Return the service that has drafts of the checkout at `root` filled in, not yet started.

    Args:
        root: The worktree that the hub was started in; the person's.
        environ: The hub's environment.
    """
    return ConsultService(SpecFolder(root), ChildConsultant(), partial(_consultant_model, root, environ))


def _consultant_model(root: Path, environ: Mapping[str, str]) -> tuple[bool, str | None]:
    """Return whether the settings let the hub work on specs, and which model they name.

    Raises:
        UsageError: A setting is wrong.
    """
    settings = load_settings(environ, project=root)
    return settings.work_on_specs, settings.model


def _options(root: Path, environ: Mapping[str, str]) -> dict[str, Any] | None:
    """Return the options of a run for a spec; None if the settings allow none.

    Raises:
        UsageError: A setting is wrong.
    """
    settings = load_settings(environ, project=root)
    return dict(run_options(settings)) if settings.work_on_specs else None
