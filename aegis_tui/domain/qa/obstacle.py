"""Why a check could not run, as facts from outside: the verdict takes them as they are (FLOW-7)."""

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
"""`wrong_tree`: an installation or a link leads to another checkout. `environment`: anything else about the place."""


class Obstacle(FrozenModel):
    """One reason why a check could not run, or why what it printed is not about the tree under test.

    A check with an obstacle is `not_run`, whatever its exit code: the gate stays shut.
    """

    kind: ObstacleKind
    reason: str
    """What happened, to what, and the first cause; one sentence without a full stop."""
    remedy: str = ""
    """The command or the step that would remove it."""
    command: str | None = None
    """The one QA command that it concerns; None when it concerns all."""
