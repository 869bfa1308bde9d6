"""Merges files by structure in a process that stays, so that each answer takes milliseconds (SEC-2, GIT-3).

The files were written by agents. A parser that fails on one of them ends this process, and nothing else; one that takes
too long is killed with it. The next request starts another.
"""

from __future__ import annotations

import asyncio
import json
import logging
import resource
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import astuple
from typing import IO, Any, Final, NamedTuple

from aegis_tui.adapters.process import end_child
from aegis_tui.adapters.symbols.source import read_source
from aegis_tui.domain.merge.file import FileMerge, merge_file
from aegis_tui.domain.merge.migrations import MigrationClash, migration_clashes
from aegis_tui.domain.merge.proof import Versions

_LOG = logging.getLogger(__name__)

_ANSWER_S: Final = 5.0
_MOST_BYTES: Final = 64 << 20
_MEMORY_BYTES: Final = 2 << 30


class MergeJob(NamedTuple):
    """The arguments of `merge_file` for one file."""

    path: str
    versions: Versions
    textual: str | None
    is_generated: bool | None = None


class MergeProcess:
    """The process; it is started by `start` or the first request. One request at a time."""

    def __init__(self) -> None:
        self._child: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start the process if it does not run; a failure is logged, and shows again at the next request."""
        if self._child is not None and self._child.returncode is None:
            return
        try:
            self._child = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", __name__),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                limit=_MOST_BYTES,
            )
        except OSError as error:
            _LOG.warning("files are not merged by structure", extra={"reason": str(error)})

    async def merge(self, jobs: Sequence[MergeJob]) -> list[FileMerge | None]:
        """Return what `merge_file` makes of each file, in order; None from the first on with which it fails.

        A file fails if it takes longer than five seconds.
        """
        merged: list[FileMerge | None] = []
        for job in jobs:
            answer = await self._ask(["merge", job.path, *job.versions, job.textual, job.is_generated])
            if answer is None:
                break
            label, text, strategy, reason = answer
            merged.append(FileMerge(label, text, strategy, reason))
        return merged + [None] * (len(jobs) - len(merged))

    async def clashes(self, ours: dict[str, str], theirs: dict[str, str]) -> list[MigrationClash] | None:
        """Return the result of `migration_clashes`; None if the process fails."""
        answer = await self._ask(["clashes", ours, theirs])
        return None if answer is None else [MigrationClash(*clash) for clash in answer]

    async def _ask(self, question: list[Any]) -> list[Any] | None:
        await self.start()
        child = self._child
        if child is None or child.stdin is None or child.stdout is None:
            return None
        try:
            async with asyncio.timeout(_ANSWER_S):
                child.stdin.write(json.dumps(question).encode() + b"\n")
                await child.stdin.drain()
                answer: list[Any] = json.loads(await child.stdout.readline())
                return answer
        except (TimeoutError, OSError, ValueError) as error:
            _LOG.warning("a file was not merged by structure", extra={"reason": str(error) or "it took too long"})
            await self.close()
            return None
        except asyncio.CancelledError:
            await self.close()  # its answer would be taken for that of the next request
            raise

    async def close(self) -> None:
        """End the process; a later request starts another."""
        child, self._child = self._child, None
        if child is not None:
            await end_child(child)


def work(questions: IO[bytes], answers: IO[bytes]) -> None:
    """Answer each line of JSON with one line, until `questions` ends."""
    for line in questions:
        kind, *rest = json.loads(line)
        if kind == "merge":
            path, base, ours, theirs, textual, is_generated = rest
            versions = Versions(base, ours, theirs)
            answer = list(astuple(merge_file(path, versions, textual, read_source, is_generated=is_generated)))
        else:
            answer = [list(clash) for clash in migration_clashes(*rest)]
        answers.write(json.dumps(answer).encode() + b"\n")
        answers.flush()


if __name__ == "__main__":
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    work(sys.stdin.buffer, sys.stdout.buffer)
