"""The dashboard over many instances, for `tui.py`: real panes, events from memory. Run as `tui_session.py FOLDER`."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import sys
from collections.abc import AsyncGenerator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aegis_tui.adapters.tmux.terminal import TmuxTerminal
from aegis_tui.config import Settings
from aegis_tui.domain.event import Event
from aegis_tui.tui.app import AegisApp
from aegis_tui.tui.feed import EventBatch, FeedItem, parse_event
from aegis_tui.tui.parts import Parts
from aegis_tui.tui.recorded import METERS, RecordedHub
from aegis_tui.tui.session import run_session

BATCH_S = 0.1
STATES = ("exploring", "implementing", "self-QA")


class BusyHub(RecordedHub):
    """A hub in which every instance reports once a second."""

    def __init__(self, panes: list[str], *, is_busy: bool) -> None:
        self._numbers = itertools.count(1)
        self._panes, self._is_busy = panes, is_busy
        super().__init__([event for at in range(len(panes)) for event in self._joining(at)], meters=METERS)

    def _event(self, event_type: str, at: int, data: dict[str, Any]) -> Event:
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        name = f"NATIVE-w{at + 1:02d}"
        seq = next(self._numbers)
        event = parse_event({"v": 1, "seq": seq, "type": event_type, "agent_id": name, "timestamp": now, "data": data})
        if event is None:
            raise ValueError(event_type)
        return event

    def _joining(self, at: int) -> Iterator[Event]:
        planned = {"instance_id": f"w{at + 1:02d}", "role": "worker", "kind": "native", "run": None, "task": "free"}
        yield self._event(
            "instance:planned", at, {**planned, "piece": None, "base_oid": None, "branch": None, "partition": []}
        )
        yield self._event("instance:prepared", at, {"worktree": "/nowhere"})
        yield self._event("instance:launched", at, {"pane": self._panes[at], "pid": 1})
        yield self._event(
            "agent:joined", at, {"agent_type": "NATIVE", "role": "worker", "partition": [], "session": f"s{at}"}
        )
        yield self._report(at, 0)

    def _report(self, at: int, turn: int) -> Event:
        data = {"state": STATES[turn % len(STATES)], "progress": turn % 10 / 10, "source": "hub"}
        return self._event("agent:state", at, data)

    async def follow(self) -> AsyncGenerator[FeedItem, None]:
        """What was, then ten batches a second while it is busy."""
        stream = super().follow()
        yield await anext(stream)
        yield await anext(stream)
        await stream.aclose()
        each = max(1, round(len(self._panes) * BATCH_S))
        for turn in itertools.count():
            await asyncio.sleep(BATCH_S)
            if self._is_busy:
                first = turn * each % len(self._panes)
                yield EventBatch([self._report(at % len(self._panes), turn) for at in range(first, first + each)])


def main(folder: Path) -> int:
    """Open the dashboard until it is ended."""
    card = json.loads((folder / "card.json").read_text("utf-8"))
    parts = Parts(
        root=folder / "repo",
        branch="main",
        hub=BusyHub(card["panes"], is_busy=card["is_busy"]),
        settings=Settings(),
        environ=dict(os.environ),
        open_terminal=lambda: TmuxTerminal(card["socket"], config_dir=folder / "tmux", environment=dict(os.environ)),
    )
    return run_session(AegisApp(parts)) or 0


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1])))
