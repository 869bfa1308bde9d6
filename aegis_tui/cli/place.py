"""Where a command works: the workspace of the present folder, its hub, and the settings that hold there."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from aegis_tui.config import Settings, load_settings
from aegis_tui.errors import GitUnavailable, HubUnavailable, UsageError
from aegis_tui.sdk.discovery import WorkspacePaths, ensure_hub, find_hub, workspace_key_of, workspace_paths
from aegis_tui.sdk.quick import HubAddress, HubQuick

COMMAND_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class Place:
    """One workspace as a command sees it."""

    root: Path
    paths: WorkspacePaths
    settings: Settings

    def find(self) -> HubAddress | None:
        """The hub that runs, or None."""
        return find_hub(self.paths)

    def hub(self, *, timeout_s: float = COMMAND_TIMEOUT_S) -> HubQuick:
        """A client of the hub that runs.

        Raises:
            HubUnavailable: None does.
        """
        address = find_hub(self.paths)
        if address is None:
            raise HubUnavailable("no hub runs for this repository", "start it: aegis-tui hub start")
        return HubQuick(address, timeout_s=timeout_s)

    def started_hub(self, *, timeout_s: float = COMMAND_TIMEOUT_S) -> HubQuick:
        """A client of the hub, which is started if none runs."""
        return HubQuick(ensure_hub(self.paths, self.root), timeout_s=timeout_s)


def here(folder: Path | None = None) -> Place:
    """The workspace of a folder, by default the present one.

    Raises:
        GitUnavailable: It is in no repository.
        UsageError: The folder is gone, or a setting is wrong.
    """
    try:
        start = (folder or Path.cwd()).resolve(strict=True)
    except OSError as error:
        raise UsageError(f"the folder {folder or ''} is gone", "go to a folder that exists") from error
    key = workspace_key_of(start)
    root = _top(start)
    return Place(root, workspace_paths(key, os.environ), load_settings(os.environ, project=root))


def _top(start: Path) -> Path:
    done = subprocess.run(
        ["git", "-C", str(start), "rev-parse", "--show-toplevel"],
        capture_output=True,
        text=True,
        timeout=10,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    if done.returncode != 0:
        raise GitUnavailable(f"{start} is inside a git folder", "go to the checkout and try again")
    return Path(done.stdout.rstrip("\n"))
