"""`doctor --bundle FILE`: collects what a bug report needs in one file, without private data. Nothing is sent."""

from __future__ import annotations

import os
import platform
import pwd
import socket
import sqlite3
from importlib import metadata
from pathlib import Path
from typing import Any

from aegis_tui import __version__
from aegis_tui.application.bundle import Scrubber, event_facts, log_tail, render_bundle, setting_names
from aegis_tui.cli.place import Place, here
from aegis_tui.config import trace_settings
from aegis_tui.domain.wire.machine import CheckResultFields
from aegis_tui.errors import AegisError, GitUnavailable, UsageError
from aegis_tui.sdk.private_file import write_private

LOGS = ("hub.log", "gateway.log", "tui.log")
LIBRARIES = ("textual", "libtmux", "starlette", "uvicorn", "pydantic", "httpx")


def write_bundle(path: Path, checks: list[CheckResultFields]) -> None:
    """Write a file for a bug report: versions, checks, where settings come from, facts about events, and ends of logs.

    It is about the current workspace; outside a repository, about the machine alone. Names, tokens and private paths
    are replaced. If the settings or the log cannot be read, the file says so instead.

    Args:
        path: The file, replaced if it exists; only its owner may read it.
        checks: The checks of `doctor`, as JSON values.

    Raises:
        UsageError: The file cannot be written, or the current folder does not exist.
    """
    place = _place()
    scrubber = _scrubber(place)
    parts: dict[str, Any] = {
        "versions": _versions(),
        "checks": checks,
        "settings": _settings(place),
        "events": _events(place),
    }
    logs = {name: log_tail(place.paths.hub_log.parent / name, scrubber) for name in LOGS} if place else {}
    try:
        write_private(path, render_bundle({**scrubber.all(parts), "logs": logs}))
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}", "choose another file") from error


def _place() -> Place | None:
    try:
        return here()
    except GitUnavailable:
        return None


def _scrubber(place: Place | None) -> Scrubber:
    home = os.environ.get("HOME") or str(Path.home())
    user = os.environ.get("USER") or os.environ.get("LOGNAME") or _account()
    paths = {home: "~"}
    if place is not None:
        paths |= {str(place.root): "<repository>", str(place.paths.state_dir): "<state>"}
        paths[str(place.paths.state_dir.parent)] = "<states>"
        paths[str(place.paths.runtime_dir)] = "<runtime>"
    return Scrubber(names={user: "<user>", socket.gethostname(): "<host>"}, paths=paths)


def _account() -> str:
    """Return the name of this process's user from the password database; empty if it has no entry, and for root."""
    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return ""
    return "" if name == "root" else name


def _versions() -> dict[str, str]:
    versions = {"aegis-tui": __version__, "python": platform.python_version(), "sqlite": sqlite3.sqlite_version}
    versions["system"] = f"{platform.system()} {platform.release()} {platform.machine()}"
    for name in LIBRARIES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "missing"
    return versions


def _settings(place: Place | None) -> dict[str, str]:
    """Return name -> source of each setting, without values; `{"error": MESSAGE}` if a file or a variable is wrong.

    Without a workspace, the settings of a project are left out.
    """
    try:
        return setting_names(trace_settings(os.environ, project=place.root if place else None)[1])
    except AegisError as error:
        return {"error": error.message}


def _events(place: Place | None) -> dict[str, Any]:
    if place is None or not place.paths.log_db.exists():
        return {}
    from aegis_tui.bootstrap.log import log_reader

    try:
        return event_facts(log_reader(place.paths).events())
    except AegisError as error:
        return {"error": error.message}
