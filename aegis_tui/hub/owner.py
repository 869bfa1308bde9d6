"""End a hub together with the process that it was started for, such as a demo, however that ends (PANE-8)."""

from __future__ import annotations

import asyncio
import logging
import os
from contextlib import aclosing

from aegis_tui.domain.decision import THE_PERSON
from aegis_tui.domain.run.commands import RunCancel
from aegis_tui.domain.workspace import Workspace
from aegis_tui.errors import AegisError
from aegis_tui.hub.engine import Engine
from aegis_tui.sdk.discovery import process_start_time

OWNER = "AEGIS_OWNER"
"""The environment variable that names the owner of a hub, in the form that `own` returns."""

_LOOK_S = 1.0
_log = logging.getLogger(__name__)


def own(pid: int | None = None) -> str:
    """Return the value for the variable `OWNER` that makes a process the owner of a hub.

    It names the process by id and start time. The hub ends when its owner has ended (see `outlive`).

    Args:
        pid: The process, None for this one. If it does not run, the hub ends soon after its start.
    """
    pid = os.getpid() if pid is None else pid
    return f"{pid} {process_start_time(pid)}"


async def outlive(owner: str, engine: Engine) -> None:
    """Wait until the owner has ended, then cancel the run, if one is open; return when it and all instances have ended.

    A cancel that the hub refuses is only logged; the wait for the end goes on.

    Args:
        owner: The result of `own`; for a text that does not begin with a process id the wait never ends.
        engine: The hub's engine.

    Raises:
        StoreError: After the owner has ended, the state cannot be rebuilt from the log.
    """
    while True:
        await asyncio.sleep(_LOOK_S)
        if not _is_there(owner):
            break
    _log.warning("the process that this hub was started for is gone", extra={"owner": owner})
    try:
        await engine.submit(RunCancel(reason="the process that the hub was started for is gone"), THE_PERSON)
    except AegisError as error:
        _log.info("no run could be ended", extra={"reason": error.message})
    async with aclosing(engine.changes()) as changes:
        async for _ in changes:
            if not await engine.read(_is_busy):
                break


def _is_there(owner: str) -> bool:
    pid, _, started = owner.partition(" ")
    if not pid.isdecimal():
        return True
    running_since = process_start_time(int(pid))
    return running_since is not None and f"{running_since}" == started


def _is_busy(workspace: Workspace) -> bool:
    return workspace.runs.current() is not None or any(workspace.instances.alive())
