"""Shares the reading of many contents out to other processes, because one Python process uses one core.

This process reads contents too, and stores what all have read. A worker gets batches on its standard input and answers
on its standard output; both are lines of JSON, with the contents as Latin-1. It is killed when this process is done
with it, and ends by itself when this process ends.
"""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import islice

from aegis_tui.domain.code_map.entry import Entry, entry_from_wire
from aegis_tui.ports.code_map import BlobKey

_BATCH = 16
_WORKER = "aegis_tui.adapters.code_map.worker"
_Batch = list[tuple[BlobKey, bytes]]
Derive = Callable[[str, bytes], Entry]


def derive_apart(
    items: Iterable[tuple[BlobKey, bytes]], workers: int, derive: Derive
) -> Iterator[tuple[BlobKey, Entry]]:
    """Yield what `derive` returns for each content, in any order; blocking.

    A batch whose worker fails, or cannot be started, is read in this process.

    Args:
        items: The contents; taken by several threads, one at a time. An error that it raises is raised at the end,
            after the contents before it were yielded.
        workers: How many processes to start.
        derive: Reads one content, as each worker does; what it raises in this process is raised.
    """
    source = _BatchSource(items)
    answers: queue.SimpleQueue[tuple[_Batch, list[Entry] | None] | None] = queue.SimpleQueue()
    threads = [threading.Thread(target=_serve, args=(source, answers), daemon=True) for _ in range(workers)]
    for thread in threads:
        thread.start()
    running = len(threads)
    while batch := source.take():
        yield from ((key, derive(key.language, content)) for key, content in batch)
        with suppress(queue.Empty):
            while (answer := answers.get_nowait()) is not None:
                yield from _entries_of(answer, derive)
            running -= 1
    while running:
        if (answer := answers.get()) is None:
            running -= 1
        else:
            yield from _entries_of(answer, derive)
    source.check()


def _entries_of(answer: tuple[_Batch, list[Entry] | None], derive: Derive) -> Iterator[tuple[BlobKey, Entry]]:
    batch, entries = answer
    if entries is None:
        yield from ((key, derive(key.language, content)) for key, content in batch)
    else:
        yield from zip((key for key, _ in batch), entries, strict=True)


class _BatchSource:
    """Batches of an iterator for several threads. An error of the iterator ends it, and is raised by `check`."""

    def __init__(self, items: Iterable[tuple[BlobKey, bytes]]) -> None:
        self._items = iter(items)
        self._lock = threading.Lock()
        self._error: BaseException | None = None

    def take(self) -> _Batch:
        """Return the next contents, at most 16.

        Empty at the end of the iterator and after an error of it (see `check`).
        """
        with self._lock:
            if self._error is not None:
                return []
            try:
                return list(islice(self._items, _BATCH))
            except Exception as error:
                self._error = error
                return []

    def check(self) -> None:
        """Raise the error that ended the iterator, if one did."""
        if self._error is not None:
            raise self._error


def _serve(source: _BatchSource, answers: queue.SimpleQueue[tuple[_Batch, list[Entry] | None] | None]) -> None:
    """Have a separate process read batches until `source` has none left, and put the outcomes into `answers`.

    Each outcome is the batch and its entries, or the batch and None if the process failed. The last item is None, also
    if no process can be started. The process is killed at the end.
    """
    argv = [sys.executable, "-P", "-m", _WORKER]  # not from the folder of the code that is read
    try:
        with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as worker:
            try:
                while batch := source.take():
                    answers.put((batch, _ask(worker, batch)))
            finally:
                worker.kill()
    except OSError:
        pass  # no process can be started: this one reads everything
    finally:
        answers.put(None)


def _ask(worker: subprocess.Popen[bytes], batch: _Batch) -> list[Entry] | None:
    """Have a worker read a batch; return one entry per content, in its order, or None if the worker has failed."""
    question = [[key.language, content.decode("latin-1")] for key, content in batch]
    try:
        if worker.stdin is None or worker.stdout is None:
            return None
        worker.stdin.write(json.dumps(question).encode() + b"\n")
        worker.stdin.flush()
        entries = [entry_from_wire(wire) for wire in json.loads(worker.stdout.readline())]
        return entries if len(entries) == len(batch) else None
    except (OSError, ValueError, TypeError):
        return None
