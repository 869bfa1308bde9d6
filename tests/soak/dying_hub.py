"""A hub that takes snapshots and compacts often, and dies in the middle of one at times, or just before a commit.

Arguments: repository, seed, and how likely it dies in a snapshot; half as likely it dies before a commit.
"""

import os
import pathlib
import random
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

import aegis_tui.hub.run as run
from aegis_tui.adapters.store.sqlite_log import SqliteEventLog

KEPT_EVENTS = 1_500
SNAPSHOT_EVENTS = 40
DYING_SHARE = float(sys.argv[3])

chance = random.Random(sys.argv[2])


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)


class DyingLog(SqliteEventLog):
    def _append(self, events: Any, replies: Any) -> None:
        if chance.random() < DYING_SHARE / 2:
            time.sleep(0.02)  # a slow disk: whoever is answered before the commit has time to write that down
            die()
        super()._append(events, replies)

    def _save_snapshot(self, seq: int, state: dict[str, Any]) -> None:
        if chance.random() < DYING_SHARE:
            die()
        super()._save_snapshot(seq, state)

    def _transaction(self, doing: str) -> Any:
        if "snapshot" in doing and chance.random() < DYING_SHARE:
            self._db.set_progress_handler(die, chance.randrange(1, 2_000))
        return super()._transaction(doing)

    def _mapped(self, doing: str) -> Any:
        if doing == "compact" and chance.random() < DYING_SHARE:
            self._db.set_progress_handler(die, chance.randrange(1, 50))
        return super()._mapped(doing)


open_hub: Callable[..., Any] = run.open_hub
setattr(run, "open_hub", lambda paths, **more: open_hub(paths, snapshot_events=SNAPSHOT_EVENTS, **more))  # noqa: B010
sys.exit(run.main_hub(pathlib.Path(sys.argv[1]), make_log=lambda path: DyingLog(path, kept_events=KEPT_EVENTS)))
