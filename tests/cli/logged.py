"""A workspace without a hub, whose log a test writes: for the commands that read it themselves."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from aegis_tui.adapters.store.sqlite_log import SqliteEventLog
from aegis_tui.sdk.discovery import WorkspacePaths, create_with_room, workspace_key_of, workspace_paths
from aegis_tui.tui.recorded import load_events

LOG = Path(__file__).parents[1] / "tui" / "data" / "default.jsonl"
"""The events of a recorded run that ended well."""


def empty_repository(folder: Path, monkeypatch: pytest.MonkeyPatch) -> WorkspacePaths:
    """Make a repository in `folder`, change to it, and return the folders of its workspace, which are there too."""
    root = folder / "repo"
    subprocess.run(["git", "init", "-q", "-b", "main", str(root)], check=True, timeout=20)
    (folder / "run").mkdir()
    for name, part in (("XDG_STATE_HOME", "state"), ("XDG_RUNTIME_DIR", "run"), ("XDG_CONFIG_HOME", "config")):
        monkeypatch.setenv(name, str(folder / part))
    monkeypatch.chdir(root)
    return workspace_paths(workspace_key_of(root), os.environ)


def recorded() -> list[dict[str, Any]]:
    """Return the events of `LOG` as JSON objects, which a test may change."""
    return [json.loads(line) for line in LOG.read_text("utf-8").splitlines()]


def until_failed(
    events: Sequence[dict[str, Any]], *more: tuple[str, dict[str, Any]], ended: bool = True
) -> list[dict[str, Any]]:
    """Return the events up to the stage MONITORING, then `more` of the hub's, each a type and its data.

    If `ended`, the run fails there, without a commit.
    """
    at = next(place for place, event in enumerate(events) if event["data"].get("stage") == "MONITORING") + 1
    error = {"code": "worker.failed", "message": "f1 failed 3 times", "hint": ""}
    ends: list[tuple[str, dict[str, Any]]] = [
        ("run:ending", {"error": error}),
        ("run:finished", {"report": {"ok": False, "error": error}}),
    ]
    added = [*more, *((kind, {"run": "run1", "ok": False, **data}) for kind, data in ends if ended)]
    last = events[at - 1]
    shared = {**last, "agent_id": "hub"}
    return [
        *events[:at],
        *({**shared, "seq": last["seq"] + n, "type": kind, "data": data} for n, (kind, data) in enumerate(added, 1)),
    ]


def write_log(paths: WorkspacePaths, events: Sequence[dict[str, Any]]) -> None:
    """Write events as the log of a workspace that has none yet."""
    source = paths.state_dir.parent / "events.jsonl"

    async def write() -> None:
        log = SqliteEventLog(paths.log_db)
        await log.open()
        await log.append(load_events(source), [])
        await log.close()

    create_with_room(paths)
    source.write_text("".join(json.dumps(event) + "\n" for event in events), "utf-8")
    asyncio.run(write())
