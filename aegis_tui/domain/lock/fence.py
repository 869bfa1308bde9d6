"""What was written under which fencing token, by whom, in the order of the log (LOCK-3).

A token is good for a hand-in when it was granted to an instance that works on the piece. Bytes are good when they are
those of the last write under a lock, or that write brought onto what was composed since. A piece is overtaken where
somebody with a newer token wrote the file after it and is composed already: then its merge must keep those lines.
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
    """What was there before; None where the writer did not say, or there was no file."""
    new_oid: str


class PieceFences(NamedTuple):
    """What is known of the locked writes of one piece."""

    writes: dict[str, tuple[FencedWrite, ...]]
    """Those of its instances by file, in the order of the log."""
    overtaken: dict[str, FencedWrite]
    """By file the newest write of another piece that is composed and came after those."""
    forks: tuple[str, ...]
    """The commits that its instances started from."""


NO_FENCES = PieceFences({}, {}, ())
"""Of a piece that wrote nothing under a lock."""


class FenceTable:
    """Tokens granted and writes made under them, until the run is put away."""

    def __init__(self) -> None:
        self.writes: list[FencedWrite] = []
        self._counts: Counter[str] = Counter()
        self._granted: dict[str, set[int]] = {}

    def grant(self, agent_id: str, token: int) -> None:
        """A lock was granted."""
        self._granted.setdefault(agent_id, set()).add(token)

    def write(self, seq: int, agent_id: str, data: CodeWritten) -> None:
        """Something was written under a token that was current then."""
        fields = data.model_dump(include={"file", "token", "base_oid", "new_oid"})
        self.writes.append(FencedWrite(seq=seq, agent_id=agent_id, **fields))
        self._counts[agent_id] += 1

    def writes_of(self, agent_id: str) -> int:
        """How many writes of an instance are remembered."""
        return self._counts[agent_id]

    def clear(self) -> None:
        """Forget all: the run whose pieces it was about is put away."""
        self.writes.clear()
        self._counts.clear()
        self._granted.clear()

    def granted_to(self, agents: Iterable[str]) -> frozenset[int]:
        """Every token that one of them was granted."""
        return frozenset().union(*(self._granted.get(agent, ()) for agent in agents))

    def writes_to(self, path: str, *, ignore_case: bool = False) -> list[FencedWrite]:
        """Every write to a path, in the order of the log."""
        key = path_key(path, ignore_case=ignore_case)
        return [item for item in self.writes if path_key(item.file, ignore_case=ignore_case) == key]

    def dump(self) -> dict[str, Any]:
        """A plain form for snapshots."""
        return {
            "writes": [item.model_dump(mode="json") for item in self.writes],
            "granted": {agent: sorted(tokens) for agent, tokens in sorted(self._granted.items())},
        }

    @classmethod
    def load(cls, plain: dict[str, Any]) -> FenceTable:
        """The table that `dump` described."""
        table = cls()
        table.writes = [FencedWrite.model_validate(item) for item in plain["writes"]]
        table._counts = Counter(item.agent_id for item in table.writes)
        table._granted = {agent: set(tokens) for agent, tokens in plain["granted"].items()}
        return table


def lines_of(content: bytes) -> list[bytes]:
    """The lines of a content, without their ends; empty ones say nothing and are left out."""
    return [line for raw in content.split(b"\n") if (line := raw.rstrip(b"\r")).strip()]


def only_written(handed: bytes, base: bytes, written: Iterable[bytes]) -> bool:
    """Whether every line that a hand-in adds to its base was written under a lock."""
    known = set(lines_of(base)).union(*map(lines_of, written))
    return known.issuperset(lines_of(handed))


def dropped_lines(composed: bytes, merged: bytes, seen: Collection[bytes]) -> list[bytes]:
    """Lines that are composed, that a merge would take away, and that its writer never had before it.

    Args:
        composed: What the working ref has.
        merged: What it would have.
        seen: Contents that the writer started from or wrote over.
    """
    kept = set(lines_of(merged)).union(*map(lines_of, seen))
    return [line for line in lines_of(composed) if line not in kept]
