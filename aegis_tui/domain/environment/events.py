"""The event of a prepared environment (GIT-1)."""

from __future__ import annotations

from typing import Literal

from aegis_tui.domain.environment.model import MadeFacts
from aegis_tui.domain.model import EventData


class EnvironmentPrepared(EventData):
    """The set-up command has made the environment of a run's worktrees, or had made it before."""

    type: Literal["environment:prepared"] = "environment:prepared"
    run: str
    environment: MadeFacts
