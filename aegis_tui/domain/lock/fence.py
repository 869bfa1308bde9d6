"""The fencing tokens that were granted and the writes made under them, in the order of the log (LOCK-3).

A submission may use a token that was granted to an instance of its piece. Its bytes are accepted when they are those
of the last write under a lock, or that write rebased onto what was merged since. A piece is overtaken where another
piece wrote the file later, under a newer token, and is already merged: then its own merge must keep those lines.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from typing import Any, NamedTuple

from aegis_tui.domain.message.events import CodeWritten
from aegis_tui.domain.model import FrozenModel
from aegis_tui.domain.path.index import path_key


class FencedWrite(FrozenModel):
    """One write under a lock, with its place in the log."""

    seq: int
    agent_id: str
    file: str
    token: int
    base_oid: str | None = None
    """Blob id of the content before; None where the writer did not send it, or there was no file."""
    new_oid: str


class PieceFences(NamedTuple):
    """The locked writes of one piece, and the writes that overtook them."""

    writes: dict[str, tuple[FencedWrite, ...]]
    """The writes of its instances by file, in the order of the log."""
    overtaken: dict[str, FencedWrite]
    """By file the newest write of another piece that is merged and came after those."""
    forks: tuple[str, ...]
    """The commits that its instances started from."""


NO_FENCES = PieceFences({}, {}, ())
"""The value for a piece that wrote nothing under a lock."""


class FenceTable:
    """The tokens granted in the current run and the writes made under them."""

    def __init__(self) -> None:
        self.writes: list[FencedWrite] = []
        self._counts: Counter[str] = Counter()
        self._granted: dict[str, set[int]] = {}

    def grant(self, agent_id: str, token: int) -> None:
        """Record that an instance was granted a lock with this token."""
        self._granted.setdefault(agent_id, set()).add(token)

    def write(self, seq: int, agent_id: str, data: CodeWritten) -> None:
        """Record a write of an instance under a lock's token; the caller has checked that the token was current.

        Args:
            seq: The number of the event.
            agent_id: The instance.
            data: The event's data, with file, token and blob ids.
        """
        fields = data.model_dump(include={"file", "token", "base_oid", "new_oid"})
        self.writes.append(FencedWrite(seq=seq, agent_id=agent_id, **fields))
        self._counts[agent_id] += 1

    def writes_of(self, agent_id: str) -> int:
        """Return how many writes of an instance are recorded."""
        return self._counts[agent_id]

    def clear(self) -> None:
        """Remove all tokens and writes, also their counts; called when the run has finished."""
        self.writes.clear()
        self._counts.clear()
        self._granted.clear()

    def granted_to(self, agents: Iterable[str]) -> frozenset[int]:
        """Return every token that was granted to one of these instances in this run; empty if none was."""
        return frozenset().union(*(self._granted.get(agent, ()) for agent in agents))

    def writes_to(self, path: str, *, ignore_case: bool = False) -> list[FencedWrite]:
        """Return every recorded write to a path, in the order of the log; empty if there is none.

        Args:
            path: The file.
            ignore_case: Whether paths that differ only in case are the same file.
        """
        key = path_key(path, ignore_case=ignore_case)
        return [item for item in self.writes if path_key(item.file, ignore_case=ignore_case) == key]

    def dump(self) -> dict[str, Any]:
        """Return the table as JSON values for a snapshot, in the form that `load` takes."""
        return {
            "writes": [item.model_dump(mode="json") for item in self.writes],
            "granted": {agent: sorted(tokens) for agent, tokens in sorted(self._granted.items())},
        }

    @classmethod
    def load(cls, plain: dict[str, Any]) -> FenceTable:
        """Return a new table with what `dump` returned.

        Raises:
            KeyError: A part is missing.
            ValueError: A write is not valid.
        """
        table = cls()
        table.writes = [FencedWrite.model_validate(item) for item in plain["writes"]]
        table._counts = Counter(item.agent_id for item in table.writes)
        table._granted = {agent: set(tokens) for agent, tokens in plain["granted"].items()}
        return table


def lines_of(content: bytes) -> list[bytes]:
    """Return the lines of a content without line ends (LF or CR LF); lines of white space only are left out."""
    return [line for raw in content.split(b"\n") if (line := raw.rstrip(b"\r")).strip()]


def only_written(handed: bytes, base: bytes, written: Iterable[bytes]) -> bool:
    """Return whether every line of a submission is in its base or was written under a lock; blank lines do not count.

    Args:
        handed: The file as it was submitted.
        base: The file that the submission started from.
        written: The contents that were written under a lock.
    """
    known = set(lines_of(base)).union(*map(lines_of, written))
    return known.issuperset(lines_of(handed))


def dropped_lines(composed: bytes, merged: bytes, seen: Collection[bytes]) -> list[bytes]:
    """Return the lines of the merged branch's file that a merge would remove although the writer never had them.

    Blank lines do not count; a line that is anywhere in the file after the merge is kept. In the order of the file.

    Args:
        composed: The file on the run's merged branch now.
        merged: The file after the merge.
        seen: Contents that the writer started from or overwrote.
    """
    kept = set(lines_of(merged)).union(*map(lines_of, seen))
    return [line for line in lines_of(composed) if line not in kept]
