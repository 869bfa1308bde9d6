"""Reads a write-ahead log beyond damage (https://sqlite.org/fileformat2.html#walformat).

SQLite stops at the first frame with a wrong checksum. The frames after it still hold whole pages, and the rows on them
have checksums of their own, so a reader that checks each row can continue.
"""

from __future__ import annotations

import shutil
import struct
from collections.abc import Iterator
from pathlib import Path

_HEADER_BYTES = 32
_FRAME = struct.Struct(">II8s8s")
_MOST_PAGES = 1 << 30


def merge_ahead(path: Path, merged: Path) -> bool:
    """Copy a log (a SQLite file) with all frames of its write-ahead log applied, also those after damage.

    Frames after the last complete transaction are left out. Return whether there is such a transaction; if not, the
    copy is of no use and may be missing.

    Args:
        path: The log; it and its write-ahead log are not changed.
        merged: The copy, a single file. Every row in it must be checked before use.

    Raises:
        OSError: A file cannot be read or written.
    """
    ahead = Path(f"{path}-wal")
    raw = ahead.read_bytes() if ahead.exists() else b""
    if len(raw) <= _HEADER_BYTES + _FRAME.size or not path.exists():
        return False
    page_bytes = struct.unpack_from(">I", raw, 8)[0]
    if page_bytes not in (1 << power for power in range(9, 17)):
        return False
    frames = list(_frames(raw, page_bytes))
    last = max((at for at, (_, pages, _) in enumerate(frames) if pages), default=-1)
    shutil.copyfile(path, merged)
    with merged.open("r+b") as file:
        for number, _, page in frames[: last + 1]:
            file.seek((number - 1) * page_bytes)
            file.write(page)
    return last >= 0


def _frames(raw: bytes, page_bytes: int) -> Iterator[tuple[int, int, bytes]]:
    """Yield the frames of a write-ahead log that belong to its header: page number, size of the log in pages, the page.

    Frames of an earlier use of the file are left out; checksums are not looked at. The size is 0 except in the last
    frame of a transaction.

    Args:
        raw: The whole file.
        page_bytes: The size of a page, as its header says.
    """
    salt = raw[16:24]
    for start in range(_HEADER_BYTES, len(raw) - _FRAME.size - page_bytes + 1, _FRAME.size + page_bytes):
        number, pages, its_salt, _ = _FRAME.unpack_from(raw, start)
        if its_salt == salt and 0 < number < _MOST_PAGES:
            yield number, pages, raw[start + _FRAME.size : start + _FRAME.size + page_bytes]
