"""Files with the texts of model calls, request and answer, only for their owner, in a limited total size (LLM-8).

The texts lie one after the other, unchanged, in numbered files. A place in one of them is stored with the call's line
in the list of calls; a short head before each text says which call it is, so that a place out of date is noticed.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

_FILES = 8
"""The oldest of about so many files is deleted when they reach the limit of the total size."""
_LEAST_FILE_BYTES = 1024 * 1024
_HEAD_BYTES = 8 * 1024
"""More than the longest head."""
_NAME = re.compile(r"(\d{6,12})\.calls")
_LAST_PLACE = 10**12 - 1
"""The highest number of a file, and a size that no file reaches."""


class TextPlace(NamedTuple):
    """Where the texts of a call begin."""

    file: int
    at: int


class CallTexts(NamedTuple):
    """Request and answer of a call, as bytes, in the API of the model server."""

    head: dict[str, Any]
    """What was stored as the head."""
    request: bytes
    answer: bytes


class TextFiles:
    """The files in one folder. One process may write them, any may read them.

    Args:
        folder: Created with the first text.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: int | None = None
        self._number, self._size_bytes = 0, 0

    def append(self, head: dict[str, Any], request: bytes, answer: bytes, *, limit_bytes: int) -> TextPlace | None:
        """Store the texts of a call; the oldest files are deleted as far as the limit requires. Blocking.

        Args:
            head: Small facts about the call; values that are JSON.
            request: The body of the request.
            answer: The body of the answer.
            limit_bytes: The most that all files may take together.

        Returns:
            The place; None, and nothing is stored, if these texts alone are too large (over an eighth of the limit and
                over 1 MiB, or over the limit), or the head is over 8 KiB.

        Raises:
            OSError: They cannot be stored, for example because the disk is full; nothing of them remains.
        """
        sizes = {"request_bytes": len(request), "answer_bytes": len(answer)}
        start = json.dumps({**head, **sizes}).encode() + b"\n"
        whole_bytes = len(start) + len(request) + len(answer) + 1
        most_bytes = max(limit_bytes // _FILES, min(_LEAST_FILE_BYTES, limit_bytes))
        if whole_bytes > most_bytes or len(start) > _HEAD_BYTES:
            return None
        if self._file is None:
            self._open_newest()
        if self._file is None or self._size_bytes + whole_bytes > most_bytes:
            self._open_next()
        self._delete_old(limit_bytes - whole_bytes)
        place = TextPlace(self._number, self._size_bytes)
        self._write([start, request, answer, b"\n"], place.at)
        self._size_bytes += whole_bytes
        return place

    def read(self, place: TextPlace, **head: Any) -> CallTexts | None:
        """Return the texts at a place; None if they were deleted, are cut short, or belong to another call. Blocking.

        None too if the file is not a regular one, or no file can have such a place.

        Args:
            place: As `append` returned it.
            head: Facts that the stored head must have, for example the call's `id`.

        Raises:
            OSError: The file is there but cannot be read, or is a link.
        """
        if max(place) > _LAST_PLACE:
            return None
        try:
            descriptor = os.open(self._path(place.file), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return None
            file.seek(place.at)
            stored = _parse_head(file.readline(_HEAD_BYTES))
            if stored is None or any(stored.get(name) != value for name, value in head.items()):
                return None
            request, answer = (file.read(stored[name]) for name in ("request_bytes", "answer_bytes"))
            is_whole = len(request) == stored["request_bytes"] and len(answer) == stored["answer_bytes"]
            return CallTexts(stored, request, answer) if is_whole else None

    def clear(self) -> None:
        """Close the file that is written and delete all files of texts; one that cannot be deleted is left. Blocking.

        Raises:
            OSError: The folder is there but cannot be listed.
        """
        self.close()
        for number in self._numbers():
            with contextlib.suppress(OSError):
                self._path(number).unlink()

    def close(self) -> None:
        """Close the file that is written; the next text opens it again."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:06}.calls"

    def _numbers(self) -> list[int]:
        """Return the numbers of the files that are there, the oldest first; empty if there is no folder.

        Raises:
            OSError: The folder cannot be listed.
        """
        try:
            matches = [_NAME.fullmatch(path.name) for path in self._folder.iterdir()]
        except FileNotFoundError:
            return []
        return sorted(int(match[1]) for match in matches if match)

    def _open_newest(self) -> None:
        """Open the newest file to go on with it, and note its size; none is opened if it is no regular, writable file.

        The number of the present file becomes that of the newest one in any case.

        Raises:
            OSError: The folder cannot be listed.
        """
        numbers = self._numbers()
        self._number = max([self._number, *numbers])
        if not numbers:
            return
        try:
            descriptor = os.open(self._path(numbers[-1]), os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:  # it is a link, for example
            return
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            os.close(descriptor)
            return
        self._file, self._size_bytes = descriptor, status.st_size

    def _open_next(self) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.close()
        self._number += 1
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        self._file, self._size_bytes = os.open(self._path(self._number), flags, 0o600), 0

    def _delete_old(self, limit_bytes: int) -> None:
        """Delete the oldest files until all together are within the limit.

        The newest, which is written, is never deleted, even if it alone takes more.

        Raises:
            OSError: A file cannot be deleted, or the folder cannot be listed.
        """
        sizes = dict(self._sizes())
        for number in sorted(sizes)[:-1]:
            if sum(sizes.values()) <= limit_bytes:
                return
            self._path(number).unlink(missing_ok=True)
            del sizes[number]

    def _sizes(self) -> Iterator[tuple[int, int]]:
        for number in self._numbers():
            with contextlib.suppress(OSError):
                yield number, self._path(number).lstat().st_size

    def _write(self, parts: list[bytes], at: int) -> None:
        assert self._file is not None
        views = [memoryview(part) for part in parts if part]
        try:
            while views:
                done = os.pwritev(self._file, views[:64], at)
                at += done
                while views and done >= len(views[0]):
                    done -= len(views.pop(0))
                if done:
                    views[0] = views[0][done:]
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, self._size_bytes)
            self.close()
            raise


def _parse_head(line: bytes) -> dict[str, Any] | None:
    try:
        head = json.loads(line)
        is_head = all(isinstance(head[name], int) and head[name] >= 0 for name in ("request_bytes", "answer_bytes"))
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return head if is_head else None
