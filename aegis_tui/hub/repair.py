"""The way out of a damaged log, while no hub runs."""

from __future__ import annotations

import asyncio

from aegis_tui.adapters.clock import SystemClock
from aegis_tui.adapters.store.salvage import Salvage, salvage
from aegis_tui.adapters.store.sqlite_log import SqliteEventLog
from aegis_tui.errors import StoreError
from aegis_tui.hub.record import only_hub
from aegis_tui.hub.recovery import recover
from aegis_tui.sdk.discovery import WorkspacePaths


def repair_log(paths: WorkspacePaths) -> Salvage | None:
    """Make the workspace's log usable again; None when nothing is wrong with it.

    Raises:
        HubUnavailable: A hub runs.
        StoreError: Nothing usable is left of the log.
    """
    paths.create()
    with only_hub(paths):
        return asyncio.run(_repair(paths))


async def _repair(paths: WorkspacePaths) -> Salvage | None:
    if not paths.log_db.exists() or await _is_sound(paths):
        return None
    done = await salvage(paths.log_db, SystemClock().timestamp())
    await _check(paths)
    return done


async def _is_sound(paths: WorkspacePaths) -> bool:
    try:
        await _check(paths)
    except StoreError:
        return False
    return True


async def _check(paths: WorkspacePaths) -> None:
    """Read every event and bring the state back."""
    log = SqliteEventLog(paths.log_db)
    await log.open()
    try:
        after = log.first_seq - 1
        while events := await log.read(after, 2_000):
            after = events[-1].seq
        await recover(log, now=0.0)
    finally:
        await log.close()
