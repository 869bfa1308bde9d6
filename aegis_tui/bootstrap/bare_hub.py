"""The hub with its SQLite log; the caller passes its services."""

from __future__ import annotations

from functools import partial

from aegis_tui.adapters.store.sqlite_log import SqliteEventLog
from aegis_tui.hub import run

open_hub = partial(run.open_hub, make_log=SqliteEventLog)
main_hub = partial(run.main_hub, make_log=SqliteEventLog)
