"""Makes shadow tags in a process of its own, which can be ended at any time (MAP-4)."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Final

from aegis_tui.adapters.process import end_child
from aegis_tui.errors import StoreError
from aegis_tui.ports.code_map import WorkspaceFolders
from aegis_tui.ports.map_tags import TagReport, TagWish

_ROUND_S: Final = 600.0
_MOST_BYTES: Final = 64 * 1024
PROGRAM: Final = "aegis_tui.bootstrap.map_tags_child"
"""The module that is run: it reads what is wanted as JSON from stdin, and prints a report as JSON."""


class ChildTags:
    """Implements `TagRounds`."""

    async def make(self, wish: TagWish, root: Path, paths: WorkspaceFolders) -> TagReport:
        """Return what a process did that makes tags; it has ended when this returns or raises.

        `TagRounds.make` describes the arguments. Raises `StoreError` if it cannot be started, or gives no valid report
        within ten minutes.
        """
        fields = {
            **{"wish": wish._asdict(), "root": str(root), "key": paths.key},
            **{"state_dir": str(paths.state_dir), "runtime_dir": str(paths.runtime_dir)},
        }
        try:
            said = json.loads(await _ask(json.dumps(fields).encode()))
            report = TagReport(int(said["made"]), bool(said["is_done"]), str(said["problem"]))
        except (ValueError, KeyError, TypeError, OSError, TimeoutError) as error:
            raise StoreError("definitions cannot be described by a model", "aegis-tui map status --check") from error
        return report


async def _ask(question: bytes) -> bytes:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", PROGRAM),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(_ROUND_S):
            if process.stdin is None or process.stdout is None:
                return b""
            process.stdin.write(question)
            process.stdin.write_eof()
            return await process.stdout.read(_MOST_BYTES)
    finally:
        await end_child(process)
