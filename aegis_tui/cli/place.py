"""Finds the workspace that a command works on: its checkout, its hub, and the settings in effect there."""

from __future__ import annotations

import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from aegis_tui.cli import output
from aegis_tui.errors import GitUnavailable, HubUnavailable, UsageError
from aegis_tui.sdk.discovery import (
    ENDING_S,
    WorkspacePaths,
    ensure_hub,
    find_hub,
    find_process,
    is_running,
    workspace_key,
    workspace_key_of,
    workspace_paths,
)
from aegis_tui.sdk.quick import HubAddress, HubQuick
from aegis_tui.sdk.version import version_note

if TYPE_CHECKING:
    from aegis_tui.config import Settings

COMMAND_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class Place:
    """The workspace that a command works on: one git repository, with the hub that serves it. `here` returns it."""

    root: Path
    """The top folder of the checkout."""
    paths: WorkspacePaths
    """Where the workspace keeps its state, sockets and logs."""

    @property
    def settings(self) -> Settings:
        """The settings of the person and the project, read from their files on each access.

        Most commands need none.

        Raises:
            UsageError: A setting is unknown or wrong.
        """
        from aegis_tui.config import load_settings

        return load_settings(os.environ, project=self.root)

    def find(self) -> HubAddress | None:
        """Return the address of the running hub; None if no hub is running. None is started.

        If the hub has another version than this program, that is printed on stderr, once.

        Raises:
            HubUnavailable: A hub is running and does not answer.
        """
        asked = find_process(self.paths)  # before, so that a hub that starts meanwhile is not said to be silent
        address = find_hub(self.paths)
        if address is None and asked is not None and not has_ended(asked, ENDING_S):
            raise HubUnavailable(
                f"hub {asked.pid} does not answer", f"end it: aegis-tui hub stop; its log is {self.paths.hub_log}"
            )
        if address is not None:
            _tell_version(address)
        return address

    def hub(self, *, timeout_s: float = COMMAND_TIMEOUT_S) -> HubQuick:
        """Return a client of the running hub that acts as the person; a request may take `timeout_s` seconds.

        Raises:
            HubUnavailable: No hub is running, or it does not answer.
        """
        address = self.find()
        if address is None:
            raise HubUnavailable("no hub is running for this repository", "start it: aegis-tui hub start")
        return HubQuick(address, timeout_s=timeout_s)

    def started(self) -> HubAddress:
        """Return the address of the hub; start it if none is running, and wait until it answers.

        While a start takes long, what it is doing is printed on stderr every few seconds.

        Raises:
            HubUnavailable: A hub is running and does not answer, or none can be started.
        """
        return self.find() or ensure_hub(self.paths, self.root, told=output.talk)

    def started_hub(self, *, timeout_s: float = COMMAND_TIMEOUT_S) -> HubQuick:
        """Return a client of the hub that acts as the person; start the hub if none is running.

        Each of its requests may take `timeout_s` seconds.

        Raises:
            HubUnavailable: The hub does not start, or does not answer.
        """
        return HubQuick(self.started(), timeout_s=timeout_s)


def has_ended(hub: HubAddress, deadline_s: float) -> bool:
    """Return whether the process of a hub has ended, or ends within `deadline_s` seconds; blocks until then."""
    end = time.monotonic() + deadline_s
    while is_running(hub.pid, hub.start_time):
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


_warned: set[str] = set()


def _tell_version(address: HubAddress) -> None:
    """Print a note on stderr if the hub has another version than this program; the same note once per process.

    Inside the pane of an agent (AEGIS_INSTANCE is set) do nothing: an agent can do nothing about it.
    """
    note = "" if os.environ.get("AEGIS_INSTANCE") else version_note(address.version, address.pid)
    if note and note not in _warned:
        _warned.add(note)
        output.talk(note)


def here(folder: Path | None = None) -> Place:
    """Return the workspace of the repository around a folder, by default around the current folder; starts no hub.

    Raises:
        GitUnavailable: The folder is not in a checkout of a repository, or git is missing or does not answer.
        UsageError: The folder does not exist.
    """
    try:
        start = (folder or Path.cwd()).resolve(strict=True)
    except OSError as error:
        raise UsageError(f"{folder or 'the current folder'} does not exist", "go to a folder that exists") from error
    common, top = _both(start)
    key = workspace_key(common) if common else workspace_key_of(start)
    return Place(top or _top(start), workspace_paths(key, os.environ))


def _both(start: Path) -> tuple[Path | None, Path | None]:
    """Return the common git folder of a repository and the top folder of the checkout around `start`.

    (None, None) if git cannot be run, or `start` is in no checkout. It runs git once, because each run takes time.
    """
    try:
        done = _rev_parse(start, "--path-format=absolute", "--git-common-dir", "--show-toplevel")
    except (OSError, subprocess.TimeoutExpired):
        return None, None
    lines = done.stdout.splitlines()
    return (Path(lines[0]), Path(lines[1])) if done.returncode == 0 and len(lines) == 2 else (None, None)


def _top(start: Path) -> Path:
    done = _rev_parse(start, "--show-toplevel")
    if done.returncode != 0:
        raise GitUnavailable(f"{start} is not in a checkout, but in a git folder", "go to the checkout and try again")
    return Path(done.stdout.rstrip("\n"))


def _rev_parse(start: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["git", "-C", str(start), "rev-parse", *arguments],
        capture_output=True,
        encoding="utf-8",
        errors="surrogateescape",
        timeout=10,
        stdin=subprocess.DEVNULL,
        check=False,
    )
