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

    def open(self) -> int:
        """Open or create the file; return the remembered number, 0 when there is none that can be read."""
        self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        raw = os.pread(self._fd, _FORMAT.size, 0)
        if len(raw) != _FORMAT.size:
            return 0
        seq, crc = _FORMAT.unpack(raw)
        return int(seq) if crc == zlib.crc32(raw[:8]) else 0

    def write(self, seq: int) -> None:
        """Remember `seq`. Survives the death of this process; on power loss an older number may be found."""
        number = struct.pack(">Q", seq)
        os.pwrite(self._fd, number + struct.pack(">I", zlib.crc32(number)), 0)

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
