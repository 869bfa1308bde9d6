"""How much disk space the folders take that agents and tests write."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol


class DiskMeter(Protocol):
    """Measures folders again and again, without following symbolic links in them."""

    async def wait_until_over(self, folders: Sequence[Path], limit_bytes: int) -> int:
        """Wait until the folders take more disk space than the limit; wait for ever if they never do.

        A folder that does not exist or cannot be read counts as empty.

        Args:
            folders: Folders of one sandbox, counted together.
            limit_bytes: Space on disk that they may take.

        Returns:
            The space that they then take, in bytes.
        """
        ...
