"""Opens, reads, checks and repairs the log of a workspace without its hub."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from aegis_tui.adapters.store.log_file import SqliteLogFile
from aegis_tui.adapters.store.reader import LogReader
from aegis_tui.adapters.store.sqlite_log import SqliteEventLog
from aegis_tui.application.doctor import LogLook
from aegis_tui.domain.context import instance_view
from aegis_tui.domain.wire.instance import InstanceFields
from aegis_tui.errors import AegisError, StoreError, UsageError
from aegis_tui.hub import repair
from aegis_tui.hub.record import only_hub
from aegis_tui.hub.recovery import recover
from aegis_tui.ports.event_log import EventLog
from aegis_tui.ports.log_file import Salvage
from aegis_tui.sdk.discovery import WorkspacePaths, find_process, workspace_key_of, workspace_paths


@contextlib.asynccontextmanager
async def open_stopped_log(paths: WorkspacePaths) -> AsyncIterator[EventLog]:
    """Yield the log of a workspace whose hub does not run; it is closed at the end, and no hub can start before that.

    Raises:
        HubUnavailable: The hub runs, or the state folder cannot be written.
        StoreError: The log is damaged.
        UsageError: There is no log.
    """
    if not paths.log_db.exists():
        raise UsageError("nothing was ever logged for this repository", "start a run: aegis-tui run GOAL")
    with only_hub(paths):
        log = SqliteEventLog(paths.log_db)
        await log.open()
        try:
            yield log
        finally:
            await log.close()


def log_reader(paths: WorkspacePaths) -> LogReader:
    """Return a read-only reader of the log of a workspace; it needs no hub, and reads nothing yet.

    Raises:
        UsageError: There is no log. A damaged one is noticed by the reader's methods.
    """
    return LogReader(paths.log_db)


async def open_instances(paths: WorkspacePaths) -> list[InstanceFields]:
    """Return the instances of the current run of a workspace whose hub does not run, as clients get them.

    Empty if it has no current run. No hub can start meanwhile.

    Raises:
        HubUnavailable: The hub runs, or the state folder cannot be written.
        StoreError: The log is damaged.
        UsageError: There is no log.
    """
    async with open_stopped_log(paths) as log:
        workspace = await recover(log, now=0.0)
    run = workspace.runs.current()
    return [] if run is None else [instance_view(item) for item in workspace.instances.of_run(run.run)]


def look_at_log(folder: Path, environ: Mapping[str, str]) -> LogLook:
    """Return the condition of the log of the repository at `folder`. Reads all of it unless a hub runs. Blocking.

    Without a log or a repository, the condition is `none yet`. Errors of the log and of the file system are in the
    result, not raised.
    """
    try:
        paths = workspace_paths(workspace_key_of(folder), environ)
        if find_process(paths) is not None:
            return LogLook("in use by the hub")
        if not paths.log_db.exists():
            return LogLook("none yet")
        damage = SqliteLogFile(paths.log_db).find_damage()
    except StoreError as error:
        return LogLook(error.message, error)
    except AegisError:  # no repository, which another check reports
        return LogLook("none yet")
    except OSError as error:
        words = f"cannot be read: {error.strerror}"
        return LogLook(words, StoreError(words, f"make it readable for yourself: {error.filename}"))
    return LogLook("sound") if damage is None else LogLook(damage, StoreError(damage, "aegis-tui hub repair"))


def repair_log(paths: WorkspacePaths) -> Salvage | None:
    """Replace the damaged log of a workspace by what can be read of it; return what was kept and lost.

    None, with nothing changed, if the log is not damaged or there is none. Agents that a person connected may have to
    join again.

    Raises:
        HubUnavailable: A hub runs, or the state folder cannot be written.
        StoreError: The log cannot be read or written, or a newer program wrote it. It is unchanged, unless the last
            step failed, which marks the used instance ids in the repaired log.
        OSError: The key for tokens cannot be deleted, or the folders of instances cannot be read.
    """
    return repair.repair_log(paths, SqliteLogFile(paths.log_db))
