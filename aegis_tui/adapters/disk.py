"""The size of folders: measured only when the free space on disk shows that much was written (SEC-3)."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Sequence
from pathlib import Path

_LOOK_S = 0.5
_COUNT_AGAIN_S = 30.0
_SHARE_OF_TIME = 20
"""Measuring may take one twentieth of the time."""
_BLOCK_BYTES = 512
_NAME_BYTES = 4096
"""The least that is counted per file: an empty one uses no block, but the number of files on a disk is limited."""


class FolderMeter:
    """Implements the port `DiskMeter` with statvfs(3) and the block counts of files."""

    async def wait_until_over(self, folders: Sequence[Path], limit_bytes: int) -> int:
        """Wait until the folders together take more than a limit on disk; return the bytes that they then take.

        Waits for ever if they never do; a folder that cannot be read counts as empty, nothing is raised. They are
        measured when the free space of the disk has fallen by an eighth of the limit, or else every 30 s, and less
        often where measuring takes long; so what is written meanwhile is noticed late.

        Args:
            folders: The folders, with all that is below them.
            limit_bytes: In bytes; a file or folder counts as at least 4 KiB.
        """
        free_at_count, counted_at, took_s = -1, 0.0, 0.0
        while True:
            await asyncio.sleep(_LOOK_S)
            free = await asyncio.to_thread(_free_bytes, folders)
            now = time.monotonic()
            is_due = free_at_count - free > limit_bytes // 8 or now - counted_at > _COUNT_AGAIN_S
            if is_due and now - counted_at > took_s * _SHARE_OF_TIME:
                size = await asyncio.to_thread(size_of, folders)
                free_at_count, counted_at = free, time.monotonic()
                took_s = counted_at - now
                if size > limit_bytes:
                    return size


def _free_bytes(folders: Sequence[Path]) -> int:
    """Return the free space of the folders' file systems together, each counted once, in bytes.

    If the files that can still be created there, at 4 KiB each, are less than that, their sum is returned. A folder
    that cannot be examined is left out; 0 without any.
    """
    space, files = {}, {}
    for folder in folders:
        try:
            status = os.statvfs(folder)
        except OSError:
            continue
        space[status.f_fsid] = status.f_bavail * status.f_frsize
        if status.f_files:
            files[status.f_fsid] = status.f_favail * _NAME_BYTES
    return min(sum(space.values()), sum(files.values())) if files else sum(space.values())


def size_of(folders: Sequence[Path]) -> int:
    """Return the bytes on disk below the folders, at least 4 KiB for each file and folder; links are not followed.

    The folders themselves are not counted, nor what vanishes or cannot be read; nothing is raised. A file with several
    names counts once for each.
    """
    waiting, size = [str(folder) for folder in folders], 0
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    with contextlib.suppress(FileNotFoundError):
                        size += max(_NAME_BYTES, entry.stat(follow_symlinks=False).st_blocks * _BLOCK_BYTES)
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
        except OSError:
            continue
    return size
