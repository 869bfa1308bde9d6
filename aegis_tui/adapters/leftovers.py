"""Finds what workspaces without a running hub have left on this machine (PANE-8). Changes nothing."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping
from pathlib import Path

from aegis_tui.adapters.git.folder import find_scratch_of_the_dead
from aegis_tui.sdk.discovery import WorkspacePaths, find_process, is_running, workspace_paths

_CONNECT_S = 0.5


def find_leftovers(environ: Mapping[str, str]) -> list[str]:
    """Return one line per workspace whose hub is gone and that left something, and one line for temporary folders.

    What counts is a gateway that runs, a tmux server that accepts connections, worktrees, and scratch worktrees; a line
    has the repository's path and these in words. Empty if nothing is left. Blocking.

    Args:
        environ: The environment whose XDG variables say where workspaces are, and TMUX_TMPDIR where tmux's sockets.

    Raises:
        OSError: The folder of the workspaces cannot be read.
    """
    home = workspace_paths("any", environ).state_dir.parent
    leftovers = []
    for state_dir in sorted(home.iterdir()) if home.is_dir() else []:
        paths = workspace_paths(state_dir.name, environ)
        if (state_dir / "hub.lock").exists() and find_process(paths) is None and (left := _left(paths, environ)):
            leftovers.append(f"{_root(paths)}: {', '.join(left)}")
    if dead := find_scratch_of_the_dead():
        leftovers.append(f"{len(dead)} temporary folders such as {dead[0]}")
    return leftovers


def _root(paths: WorkspacePaths) -> str:
    """Return the path of the repository of a workspace, as its hub recorded it.

    The workspace's key if the record is empty, and `workspace KEY` if it is missing or cannot be read.
    """
    try:
        return (paths.state_dir / "root").read_text("utf-8").strip() or paths.key
    except (OSError, UnicodeDecodeError):
        return f"workspace {paths.key}"


def _left(paths: WorkspacePaths, environ: Mapping[str, str]) -> list[str]:
    left = []
    if (pid := _gateway_pid(paths)) is not None:
        left.append(f"a gateway (pid {pid})")
    tmux = Path(environ.get("TMUX_TMPDIR") or "/tmp") / f"tmux-{os.getuid()}" / f"aegis-{paths.key}"
    if _listens(tmux):
        left.append("a tmux server")
    for name, folder in (("worktrees", paths.worktrees_dir), ("scratch worktrees", paths.state_dir / "scratch")):
        count = sum(1 for item in folder.glob("*") if item.is_dir() and not item.name.startswith("."))
        if count:
            left.append(f"{count} {name}")
    return left


def _gateway_pid(paths: WorkspacePaths) -> int | None:
    try:
        record = json.loads((paths.runtime_dir / "gateway.json").read_text("utf-8"))
        pid, started = int(record["pid"]), float(record["start_time"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return pid if is_running(pid, started) else None


def _listens(path: Path) -> bool:
    if not path.exists():
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(_CONNECT_S)
        try:
            client.connect(str(path))
        except OSError:
            return False
    return True
