"""Repair a damaged log while no hub is running."""

from __future__ import annotations

import asyncio
import re
from typing import Any

from aegis_tui.domain.role import ROLES
from aegis_tui.domain.workspace import Workspace
from aegis_tui.errors import DiskFull, StoreError
from aegis_tui.hub.record import forget_key, only_hub
from aegis_tui.hub.recovery import recover
from aegis_tui.ports.log_file import LogFile, Salvage
from aegis_tui.sdk.clock import SystemClock
from aegis_tui.sdk.discovery import WorkspacePaths, create_with_room

_GIVEN_ID = re.compile(r"([a-z])(\d{2,9})\Z")
_ROLES = {traits.prefix: role for role, traits in ROLES.items()}


def repair_log(paths: WorkspacePaths, file: LogFile) -> Salvage | None:
    """Repair the workspace's log and return what was saved and lost; None, and no change, for a sound log or none.

    New events get numbers above all that were acknowledged, and instance ids that were used are not used again. If it
    is not certain what was acknowledged, or nothing could be kept, agents that were connected by hand must join again.

    Args:
        paths: The workspace's folders.
        file: Its log.

    Raises:
        HubUnavailable: A hub runs, or the state folder cannot be written, for example because the disk is full.
        StoreError: The log cannot be read or written, or a newer version of the program wrote it. It is unchanged,
            unless the last step failed, which marks the used ids in the repaired log.
        OSError: The key for tokens cannot be deleted, or the folders of instances cannot be read.
    """
    create_with_room(paths)
    with only_hub(paths):
        return asyncio.run(_repair(paths, file))


async def _repair(paths: WorkspacePaths, file: LogFile) -> Salvage | None:
    if await _is_sound(file):
        return None
    done = await file.salvage(SystemClock().timestamp(), _begin_anew)
    if not done.kept or not done.is_certain:
        forget_key(paths)
    await _keep_ids(paths, file)
    return done


async def _is_sound(file: LogFile) -> bool:
    """Return whether the log is undamaged and the state can be rebuilt from it; True for a workspace without a log.

    Raises:
        DiskFull: The log cannot be opened because the disk is full, which says nothing about it.
        StoreError: The file cannot be read to look for damage.
    """
    if await asyncio.to_thread(file.find_damage) is not None:
        return False
    if not file.exists():
        return True
    try:
        await _state(file)
    except DiskFull:
        raise
    except StoreError:
        return False
    return True


async def _state(file: LogFile) -> Workspace:
    log = file.make_log()
    await log.open()
    try:
        return await recover(log, now=0.0)
    finally:
        await log.close()


async def _keep_ids(paths: WorkspacePaths, file: LogFile) -> None:
    """Mark the ids as used that have an instance's folder or worktree, but no event that could be read (contract 2).

    With the highest number of a role, all lower ones count as used too. It is saved in a snapshot; no effect if the log
    knows all these ids.

    Raises:
        StoreError: The log cannot be read or written.
        OSError: A folder cannot be read.
    """
    log = file.make_log()
    await log.open()
    try:
        workspace = await recover(log, now=0.0)
        counters = workspace.instances.counters
        given = _given_ids(paths)
        if any(number > counters.get(role, 0) for role, number in given.items()):
            counters.update({role: max(number, counters.get(role, 0)) for role, number in given.items()})
            await log.save_snapshot(workspace.seq, workspace.dump())
    finally:
        await log.close()


def _given_ids(paths: WorkspacePaths) -> dict[str, int]:
    """Return for each role the highest number of an instance that has a folder or a worktree, such as 3 for `w03`.

    Roles without one are absent.

    Raises:
        OSError: A folder exists but cannot be read.
    """
    highest: dict[str, int] = {}
    for folder in (paths.instances_dir, paths.worktrees_dir):
        for entry in folder.iterdir() if folder.is_dir() else ():
            if (match := _GIVEN_ID.match(entry.name)) and (role := _ROLES.get(match[1])):
                highest[role] = max(highest.get(role, 0), int(match[2]))
    return highest


def _begin_anew(seq: int) -> dict[str, Any]:
    workspace = Workspace()
    workspace.seq = seq
    return workspace.dump()
