"""How much lies in folders that agents and tests write."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol


class DiskMeter(Protocol):
    """Watches folders without following what lies in them."""

    async def wait_until_over(self, folders: Sequence[Path], limit_bytes: int) -> int:
        """Return once the folders hold more than a limit, and never before.

        Args:
            folders: Folders of one sandbox, counted together.
            limit_bytes: Space on disk that they may take.

        Returns:
            What they hold then, in bytes.
        """
        ...
