"""Checks whether git can read an index that an agent wrote without using far more memory than the file's size.

Two forms of an index expand when read. Version 4 stores only the difference of a name to the one before, so that half a
megabyte can hold names of gigabytes. A sparse index has folders as entries, and git replaces each by all files below
it, as often as it is listed. Source: gitformat-index(5).
"""

from __future__ import annotations

import mmap
import struct
from pathlib import Path

MAX_NAME_BYTES = 256 << 20
"""The limit for all names together, when expanded."""

_HEADER = struct.Struct(">4sII")
_SPARSE = b"sdir\0\0\0\0"
_STATUS_BYTES = 40
_EXTENDED = 0x4000
_PREFIXED = 4


def is_bounded_index(path: Path, oid_bytes: int) -> bool:
    """Return whether git can read an index with about as much memory as the file is large; blocking.

    False for an index that expands when read: a sparse one, and one of version 4 with more than 256 MiB of names or
    that is cut off. Other damage is not detected here; git itself reports it.

    Args:
        path: The index file.
        oid_bytes: The length of object ids in its repository, on which the format depends.

    Raises:
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        begin = file.read(_HEADER.size)
        if len(begin) < _HEADER.size:
            return True
        _, version, count = _HEADER.unpack(begin)
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            if content.find(_SPARSE) >= 0:
                return False
            return version != _PREFIXED or _has_few_names(content, count, oid_bytes)


def _has_few_names(content: mmap.mmap, count: int, oid_bytes: int) -> bool:
    """Return whether a version 4 index is complete and all its names, when expanded, stay below `MAX_NAME_BYTES`.

    Args:
        content: The index.
        count: How many entries its header promises.
        oid_bytes: The length of object ids in it.
    """
    at, length, left = _HEADER.size, 0, MAX_NAME_BYTES
    try:
        for _ in range(count):
            at += _STATUS_BYTES + oid_bytes
            flags = content[at] << 8 | content[at + 1]
            dropped, begin = _offset(content, at + (4 if flags & _EXTENDED else 2))
            end = content.find(b"\0", begin)
            if end < 0 or dropped > length:
                return False
            length += end - begin - dropped
            left -= length
            if left < 0:
                return False
            at = end + 1
    except IndexError:
        return False
    return True


def _offset(content: mmap.mmap, at: int) -> tuple[int, int]:
    """Return the number at a position, in the format of pack offsets, and the position after it.

    Raises:
        IndexError: The content ends within it.
    """
    byte = content[at]
    value = byte & 0x7F
    while byte & 0x80 and value < MAX_NAME_BYTES:
        at += 1
        byte = content[at]
        value = value + 1 << 7 | byte & 0x7F
    return value, at + 1
