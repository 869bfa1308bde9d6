"""Obstacles: facts from outside that explain why a check could not run; the verdict does not question them (FLOW-7)."""

from __future__ import annotations

from typing import Literal

from aegis_tui.domain.model import FrozenModel

ObstacleKind = Literal[
    "wrong_tree",
    "program_missing",
    "dependency_missing",
    "not_loaded",
    "killed",
    "timed_out",
    "environment",
]
"""`wrong_tree`: an installation or a link leads to another checkout. `environment`: any other outside problem."""


class Obstacle(FrozenModel):
    """One reason why a check could not run, or why its output is not about the tree under test.

    A check with an obstacle is `not_run`, whatever its exit code, so that the gate stays closed.
    """

    kind: ObstacleKind
    reason: str
    """What happened, to what, and the first cause; one sentence without a full stop."""
    remedy: str = ""
    """The command or the step that would remove it."""
    command: str | None = None
    """The one QA command that it concerns; None when it concerns all."""
