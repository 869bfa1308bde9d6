"""Makes shadow tags in a process of its own, which can be ended at any time (MAP-4)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from aegis_tui.adapters.code_map.program import ask_program
from aegis_tui.errors import StoreError
from aegis_tui.ports.code_map import WorkspaceFolders
from aegis_tui.ports.map_tags import TagReport, TagWish

_ROUND_S: Final = 600.0
PROGRAM: Final = "aegis_tui.bootstrap.map_tags_child"
"""The module that is run: it reads what is wanted as JSON from stdin, and prints a report as JSON."""


class ChildTags:
    """Implements `TagRounds`: starts a process for each round, and kills it if the round is cancelled."""

    async def make(self, wish: TagWish, root: Path, paths: WorkspaceFolders) -> TagReport:
        """Return what a process did that makes tags; it has ended when this returns or raises.

        `TagRounds.make` describes the arguments. Raises `StoreError` if it cannot be started, or gives no valid report
        within ten minutes.
        """
        fields = {
            **{"wish": wish._asdict(), "root": str(root), "key": paths.key},
            **{"state_dir": str(paths.state_dir), "runtime_dir": str(paths.runtime_dir)},
        }
        said = await ask_program(PROGRAM, json.dumps(fields).encode(), timeout_s=_ROUND_S)
        try:
            report = json.loads(said)
            return TagReport(int(report["made"]), bool(report["is_done"]), str(report["problem"]))
        except (ValueError, KeyError, TypeError) as error:
            problem = f"the process that asks {wish.model} failed, or did not end within ten minutes"
            raise StoreError(problem, "aegis-tui map status --check") from error
