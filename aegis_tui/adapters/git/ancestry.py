"""Merge bases from the commits themselves, without a git process for each question (PERF-18).

The pieces of a run and what they are merged into are a few commits above their base. Where more has to be looked at, or
the answer is not a single commit, git is asked.
"""

from __future__ import annotations

import heapq
import re
from collections import OrderedDict
from pathlib import Path
from typing import Final, NamedTuple

from aegis_tui.adapters.git.reader import NoAnswerError, ObjectReader

MOST_COMMITS: Final = 200
"""So many commits are looked at; git finds the answer faster if it is further away."""

_KEPT: Final = 4096
_MAX_COMMIT_BYTES: Final = 1 << 20
_OURS, _THEIRS, _STALE = 1, 2, 4
_DATE: Final = re.compile(rb"^committer .*> (\d{1,18}) ", re.MULTILINE)
_OTHER_PARENTS: Final = ("shallow", "info/grafts")
"""Files with which git takes other parents for those of a commit than are written in it."""


class _GraphCommit(NamedTuple):
    date: int
    parents: tuple[str, ...]


class CommitGraph:
    """Answers questions about the ancestors of commits.

    Args:
        reader: Reads the repository's objects.
        common_dir: The git folder that all worktrees share; None if it is not known: then nothing can be answered.
    """

    def __init__(self, reader: ObjectReader, common_dir: Path | None) -> None:
        self._reader, self._common_dir = reader, common_dir
        self._known: OrderedDict[str, _GraphCommit] = OrderedDict()

    async def find_bases(self, one: str, other: str) -> list[str] | None:
        """Return the best common ancestor of two commits, as a list; an empty one if they have none in common.

        None if git has to be asked: there are several, the way to them is long, a commit does not exist, or the
        repository is shallow or has grafts. Raises nothing but what starting git raises (`GitError`, `GitUnavailable`).

        Args:
            one: The full id of a commit.
            other: That of the other.
        """
        if self._common_dir is None or any((self._common_dir / name).exists() for name in _OTHER_PARENTS):
            return None
        try:
            return await self._paint([one, other])
        except (NoAnswerError, _NotAnsweredError):
            return None

    async def _paint(self, tips: list[str]) -> list[str]:
        """Walk both histories from the newest commit down until all that is left is an ancestor of a common one.

        Source: git's commit-reach.c, paint_down_to_common.
        """
        marks = {tips[0]: _OURS}
        marks[tips[1]] = marks.get(tips[1], 0) | _THEIRS
        queue: list[tuple[int, str]] = []
        await self._push(queue, list(marks))
        common: dict[str, None] = {}
        while any(not marks[oid] & _STALE for _, oid in queue):
            _, oid = heapq.heappop(queue)
            mark = marks[oid]
            if mark == _OURS | _THEIRS:
                common[oid] = None
                mark |= _STALE
            above = [parent for parent in self._known[oid].parents if marks.get(parent, 0) & mark != mark]
            for parent in above:
                marks[parent] = marks.get(parent, 0) | mark
            if len(marks) > MOST_COMMITS:
                raise _NotAnsweredError
            await self._push(queue, above)
        best = [oid for oid in common if not marks[oid] & _STALE]
        if len(best) > 1:
            raise _NotAnsweredError
        return best

    async def _push(self, queue: list[tuple[int, str]], oids: list[str]) -> None:
        missing = [oid for oid in oids if oid not in self._known]
        for oid, facts in zip(missing, await self._reader.facts(*missing), strict=True):
            if facts is None or facts.kind != "commit" or facts.size > _MAX_COMMIT_BYTES or facts.oid != oid:
                raise _NotAnsweredError
        for oid, raw in zip(missing, await self._reader.contents(*missing), strict=True):
            if raw is None:
                raise _NotAnsweredError
            self._known[oid] = _parse(raw)
        for oid in oids:
            self._known.move_to_end(oid)
            heapq.heappush(queue, (-self._known[oid].date, oid))
        while len(self._known) > _KEPT:
            self._known.popitem(last=False)


class _NotAnsweredError(Exception):
    """The commits in memory do not give the answer, so that the caller asks a git process."""


def _parse(raw: bytes) -> _GraphCommit:
    header = raw.partition(b"\n\n")[0]
    date = _DATE.search(header)
    parents = [line[7:].decode("ascii", "replace") for line in header.split(b"\n") if line.startswith(b"parent ")]
    return _GraphCommit(int(date[1]) if date else 0, tuple(parents))
