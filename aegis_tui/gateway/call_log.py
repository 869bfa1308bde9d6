"""Writes what is logged of model calls, in a thread of its own, so that no disk ever delays a stream (LLM-8).

The list of calls (`model-calls.jsonl`) has one line for each, with numbers and names. The texts of calls are stored
beside it as far as the person's settings allow. Keys and tokens that the gateway knows are replaced in them.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import queue
import threading
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from aegis_tui.gateway.text_files import TextFiles

LIST_NAME, OLDER_LIST_NAME, TEXTS_NAME = "model-calls.jsonl", "model-calls.1.jsonl", "model-calls"
"""The newest calls, those before them, and the folder with the texts; all in the folder `logs` of a workspace."""
HIDDEN = b"[key]"
"""What is stored in place of a key or token."""

_LOG = logging.getLogger(__name__)
_ROTATE_AT_BYTES = 16 * 1024 * 1024
_MOST_HELD_BYTES = 128 * 1024 * 1024
"""Texts of running calls and of those that wait for the disk; a call for which there is no room goes without."""
_GATHER_S = 0.02
"""How long the thread waits for more calls before it writes."""
_CLOSE_S = 2.0
_MOST_TARGET_CHARS = 1024


class CallText:
    """What a running call said so far.

    Args:
        target: Path and query at the model server, without a key.
        request: The body of the request.
        secrets: The keys and tokens that may be in it; more can be added.
        take: Counts bytes, and returns whether there is room for them.
    """

    def __init__(self, target: str, request: bytes, secrets: list[bytes], take: Callable[[int], bool]) -> None:
        self.target = target[:_MOST_TARGET_CHARS]
        self.request = request
        self.secrets = secrets
        self.size_bytes = 0
        self.is_lost = False
        """Whether there was no room for it."""
        self.parts: list[bytes] = []
        self._take = take
        self._count(request)

    def hear(self, part: bytes) -> None:
        """Take the next part of the answer.

        If there is no room for it, all that was taken is dropped, `is_lost` becomes true, and later parts are ignored.
        """
        if not self.is_lost:
            self.parts.append(part)
            self._count(part)

    def _count(self, part: bytes) -> None:
        if self._take(len(part)):
            self.size_bytes += len(part)
        else:
            self.is_lost, self.request = True, b""
            self.parts.clear()


class _LoggedCall(NamedTuple):
    line: dict[str, Any]
    text: CallText | None
    limit_mb: int | None


class CallLog:
    """The log of one workspace's calls. If the disk fails, lines and texts are lost, but calls still succeed.

    Args:
        folder: The folder `logs` of the workspace; it exists.
        find_limit_mb: Returns how much the texts may take, in MiB; 0 stores none, and deletes those that were stored.
            None, while that is not known, stores and deletes none.
    """

    def __init__(self, folder: Path, find_limit_mb: Callable[[], int | None] = lambda: None) -> None:
        self._list, self._older = folder / LIST_NAME, folder / OLDER_LIST_NAME
        self._texts = TextFiles(folder / TEXTS_NAME)
        self._find_limit_mb = find_limit_mb
        self._queue: queue.SimpleQueue[_LoggedCall | None] = queue.SimpleQueue()
        self._hurry = threading.Event()
        self._thread: threading.Thread | None = None
        self._held_bytes = 0
        self._released: deque[int] = deque()
        self._file: int | None = None
        self._size_bytes = 0
        self._is_cleared = False

    def listen(self, target: str, request: bytes, secrets: Sequence[bytes]) -> CallText | None:
        """Return what collects the text of a call that begins; None if the limit is 0 or not known.

        Nothing is written yet. Give the server's answer to its `hear`, and itself to `put` when the call has ended.

        Args:
            target: Path and query at the model server, without a key; cut to 1,024 characters.
            request: The body of the request.
            secrets: Keys and tokens to replace by `[key]` in its texts.
        """
        if not self._find_limit_mb():
            return None
        return CallText(target, request, list(secrets), self._take)

    def put(self, line: dict[str, Any], text: CallText | None) -> None:
        """Hand the line of a call, and its text if there is one, to the thread that writes, and return at once.

        The thread is started if none runs. It adds `kept` to the line: file and position of the stored text, or None if
        it was not stored, for example as it was too large. An error is only logged.

        Args:
            line: The fields of the line; must have `id` and `at`.
            text: What `listen` returned for the call.
        """
        self._queue.put(_LoggedCall(line, text, self._find_limit_mb()))
        if self._thread is None:
            self._hurry.clear()
            self._thread = threading.Thread(target=self._work, name="call-log", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Have the thread write what waits and close the files; wait for it, at most 2 s.

        Safe to call twice; a later `put` opens the files again.
        """
        thread, self._thread = self._thread, None
        if thread is not None:
            self._queue.put(None)
            self._hurry.set()
            thread.join(_CLOSE_S)

    def _take(self, size_bytes: int) -> bool:
        while self._released:
            self._held_bytes -= self._released.popleft()
        if self._held_bytes + size_bytes > _MOST_HELD_BYTES:
            return False
        self._held_bytes += size_bytes
        return True

    def _work(self) -> None:
        is_open = True
        while is_open:
            entries = [self._queue.get()]
            self._hurry.wait(_GATHER_S)
            with contextlib.suppress(queue.Empty):
                while True:
                    entries.append(self._queue.get_nowait())
            is_open = None not in entries
            try:
                self._write([entry for entry in entries if entry is not None])
            except Exception:  # the thread must go on to the next calls
                _LOG.exception("model calls could not be logged")
            self._released.extend(entry.text.size_bytes for entry in entries if entry is not None and entry.text)
        self._texts.close()
        self._close()

    def _write(self, entries: list[_LoggedCall]) -> None:
        for entry in entries:
            entry.line["kept"] = self._keep(entry)
        if entries:
            self._append(b"".join(json.dumps(entry.line).encode() + b"\n" for entry in entries))

    def _keep(self, entry: _LoggedCall) -> list[int] | None:
        text = entry.text
        try:
            if entry.limit_mb == 0 and not self._is_cleared:
                self._texts.clear()
            self._is_cleared = entry.limit_mb == 0
            if text is None or text.is_lost or not entry.limit_mb:
                return None
            head = {"id": entry.line["id"], "at": entry.line["at"], "target": text.target}
            request, answer = (_hidden(said, text.secrets) for said in (text.request, b"".join(text.parts)))
            place = self._texts.append(head, request, answer, limit_bytes=entry.limit_mb << 20)
        except OSError as error:
            _LOG.warning("the text of a model call could not be stored", extra={"reason": str(error)})
            return None
        return None if place is None else list(place)

    def _append(self, lines: bytes) -> None:
        try:
            descriptor, before = self._open()
            lines = before + lines
            done = os.write(descriptor, lines)
            self._size_bytes += done
            if done < len(lines):
                raise OSError("the disk is full")
            if self._size_bytes > _ROTATE_AT_BYTES:
                self._close()
                self._list.replace(self._older)
        except OSError as error:
            self._close()  # so that the next line does not continue one that is torn
            _LOG.warning("a model call could not be logged", extra={"reason": str(error)})

    def _open(self) -> tuple[int, bytes]:
        """Return the descriptor of the list, and what ends its last line if that is torn."""
        if self._file is not None:
            return self._file, b""
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        self._file = os.open(self._list, flags, 0o600)
        self._size_bytes = os.fstat(self._file).st_size
        is_torn = self._size_bytes > 0 and os.pread(self._file, 1, self._size_bytes - 1) != b"\n"
        return self._file, b"\n" if is_torn else b""

    def _close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


def _hidden(said: bytes, secrets: Sequence[bytes]) -> bytes:
    for secret in secrets:
        if secret:
            said = said.replace(secret, HIDDEN)
    return said
