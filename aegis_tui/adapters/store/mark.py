"""A small file beside the log that stores the number of the newest acknowledged event.

SQLite mistakes a damaged write-ahead log for an incomplete one and silently drops its end. The mark is written after
the commit and before the answer, so a log that ends before its mark has lost something acknowledged.
"""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

_FORMAT = struct.Struct(">QI")


class AcknowledgedMark:
    """The highest acknowledged event number, as recorded in the file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd = -1

    def read(self) -> int | None:
        """Return the stored number; None if the file is missing or damaged. Changes nothing.

        Raises:
            OSError: The file exists but cannot be read.
        """
        try:
            raw = self.path.read_bytes()
        except FileNotFoundError:
            return None
        if len(raw) != _FORMAT.size:
            return None
        seq, crc = _FORMAT.unpack(raw)
        return int(seq) if crc == zlib.crc32(raw[:8]) else None

    def open(self, seq: int) -> None:
        """Open or create the file and store this number; the file and this number survive a power loss.

        Raises:
            OSError: It cannot be written.
        """
        self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self.write(seq)
        os.fsync(self._fd)

    def write(self, seq: int) -> None:
        """Store `seq`. It survives the end of this process; after a power loss the file may hold an older number.

        Raises:
            OSError: It cannot be written, or is not open.
        """
        number = struct.pack(">Q", seq)
        os.pwrite(self._fd, number + struct.pack(">I", zlib.crc32(number)), 0)

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
