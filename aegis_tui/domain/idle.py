"""Whether a workspace has nothing to do at the moment, so that work in the background disturbs nobody."""

from __future__ import annotations

from typing import Final

from aegis_tui.domain.workspace import Workspace

_RESTS: Final = frozenset(["waiting", "asking", "blocked", "limited", "idle", "done", "failed", "unknown"])
"""States of an agent in which it does not use the model."""


def is_idle(workspace: Workspace) -> bool:
    """Return whether no run is open, and no connected agent is at work."""
    if workspace.runs.current() is not None:
        return False
    return all(instance.state in _RESTS for instance in workspace.instances.alive())
