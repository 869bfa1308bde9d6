"""A hub's engine and ingress in the process of a test, without its doors."""

from __future__ import annotations

from aegis_tui.adapters.store.sqlite_log import SqliteEventLog
from aegis_tui.hub.engine import Engine
from aegis_tui.hub.identity import Identity
from aegis_tui.hub.ingress import Ingress
from aegis_tui.sdk.clock import SystemClock
from aegis_tui.sdk.discovery import WorkspacePaths


async def opened(paths: WorkspacePaths) -> tuple[Engine, Ingress]:
    """The engine over the log of a workspace, which the caller closes, and what takes frames for it."""
    paths.create()
    engine = Engine(SqliteEventLog(paths.log_db), SystemClock())
    await engine.open()
    return engine, Ingress(engine, Identity(engine, "x" * 64, b"k" * 32), paths)
