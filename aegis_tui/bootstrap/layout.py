"""What briefs say about the code of the checkout: its outline, suggested partitions, what is around a partition."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
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
    """Return the outline of the checkout and suggested partitions as a text for the Commander.

    Without partitions for one worker. Empty if the code map does not answer within five seconds, which happens in a
    large repository whose files it has not read yet, and if it fails, which is logged.

    Args:
        root: The checkout.
        paths: The folders of the workspace.
        workers: How many workers there are at most.
    """
    parts: list[str] = []
    try:
        async with asyncio.timeout(MOST_S):
            parts.append((await ChildMap().describe({}, root, paths))[""])
            if workers > 1:
                question = MapAsk(question="partition", about=".", count=min(workers, _MOST_PARTS))
                parts.append(hint_text(cast(PartitionOutput, await ChildMap().ask(question, root, None, paths))))
    except (AegisError, TimeoutError) as error:
        _log.info("the repository was not described", extra={"reason": str(error) or "the code map took too long"})
    return "\n\n".join(filter(None, parts))


async def describe_surroundings(
    root: Path, paths: WorkspacePaths, partitions: Mapping[str, Sequence[str]]
) -> dict[str, str]:
    """Return for each partition the signatures of what its files import and of what imports them, as a text.

    Empty if the code map fails, which is logged.

    Args:
        root: The checkout.
        paths: The folders of the workspace.
        partitions: Name -> globs.
    """
    try:
        return await ChildMap().describe(partitions, root, paths)
    except AegisError as error:
        _log.info("no surroundings were described", extra={"reason": error.message})
        return {}
