"""Asks the person whether the set-up command of a run may run, where that is not known yet (GIT-1)."""

from __future__ import annotations

import sys
from datetime import UTC, datetime

from aegis_tui.cli import output
from aegis_tui.errors import AegisError
from aegis_tui.sdk.discovery import WorkspacePaths


def ask_for_setup(error: AegisError, paths: WorkspacePaths) -> bool:
    """Return whether the person allows the set-up command for which a run was refused; that is then recorded.

    False also if the refusal is another one, or nobody can be asked.

    Args:
        error: The refusal.
        paths: The workspace.

    Raises:
        OSError: The answer cannot be recorded.
    """
    if error.code != "environment.consent" or not sys.stdin.isatty() or not sys.stderr.isatty():
        return False
    command, key, network = str(error.data["setup"]), str(error.data["key"]), bool(error.data["network"])
    inputs = ", ".join(str(item) for item in error.data["inputs"]) or "the command itself"
    output.talk("The worktrees of this run are set up with this command, which runs code of your dependencies:")
    output.talk(f"  {command}")
    access = "It may use the network" if network else "It has no network"
    output.talk(f"{access}. You are asked again when one of these changes: {inputs}")
    output.talk("Allow it? [y/N]")
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        return False
    from aegis_tui.bootstrap.environment import environments_of

    now = datetime.now(UTC).isoformat(timespec="seconds")
    environments_of(paths).allow(key, command, network=network, at=now)
    return True
