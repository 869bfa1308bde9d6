"""TEMPORARY until domain.core.snapshot_view exists."""

from typing import Any

from aegis_tui.domain.workspace import Workspace


def snapshot_view(workspace: Workspace) -> dict[str, Any]:
    """View."""
    return {
        "locks": {
            lock.resource.path: {"agent_id": lock.agent_id, "token": lock.token} for lock in workspace.locks.locks()
        }
    }
