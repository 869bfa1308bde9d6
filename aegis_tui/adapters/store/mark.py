"""A small file beside the log that remembers the newest acknowledged event.

SQLite takes a damaged write-ahead log for a torn one and drops its tail in silence. The mark is written after the
commit and before the answer, so a log that ends before its mark has lost something acknowledged.
"""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

_FORMAT = struct.Struct(">QI")


class AcknowledgedMark:
    """The highest event number that was ever acknowledged, as far as this file knows."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd = -1

    def read(self) -> int | None:
        """The remembered number; None when the file is missing or damaged. Changes nothing."""
        try:
            raw = self.path.read_bytes()
        except FileNotFoundError:
            return None
        if len(raw) != _FORMAT.size:
            return None
        seq, crc = _FORMAT.unpack(raw)
        return int(seq) if crc == zlib.crc32(raw[:8]) else None

    def open(self, seq: int) -> None:
        """Open or create the file with this number in it; the file itself survives power loss from here on."""
        self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self.write(seq)
        os.fsync(self._fd)

    def write(self, seq: int) -> None:
        """Remember `seq`. Survives the death of this process; on power loss an older number may be found."""
        number = struct.pack(">Q", seq)
        os.pwrite(self._fd, number + struct.pack(">I", zlib.crc32(number)), 0)

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
