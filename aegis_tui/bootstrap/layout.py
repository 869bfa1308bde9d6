"""What the Commander is told about how its repository could be divided (PART-4)."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Final, cast

from aegis_tui.adapters.code_map.child import ChildMap
from aegis_tui.domain.code_map.commands import MapAsk
from aegis_tui.domain.partition.hint import hint_text
from aegis_tui.domain.wire.code_map import PartitionOutput
from aegis_tui.errors import AegisError
from aegis_tui.sdk.discovery import WorkspacePaths

MOST_S: Final = 5.0
_MOST_PARTS: Final = 50
_log = logging.getLogger(__name__)


async def describe_layout(root: Path, paths: WorkspacePaths, workers: int) -> str:
    """Return suggested partitions of the checkout as a text for the Commander.

    Empty with one worker, if the code map does not answer within five seconds, which happens in a large repository
    whose files it has not read yet, and if it fails, which is logged.

    Args:
        root: The checkout.
        paths: The folders of the workspace.
        workers: How many workers there are at most.
    """
    if workers < 2:
        return ""
    question = MapAsk(question="partition", about=".", count=min(workers, _MOST_PARTS))
    try:
        async with asyncio.timeout(MOST_S):
            answer = await ChildMap().ask(question, root, None, paths)
        return hint_text(cast(PartitionOutput, answer))
    except (AegisError, TimeoutError) as error:
        _log.info("no partitions were suggested", extra={"reason": str(error) or "the code map took too long"})
        return ""
