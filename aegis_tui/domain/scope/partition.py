"""Who may write which path (PART-1, PART-2, PART-6): the partitions of a workspace and the verdict on one write.

It holds the rules only; the callers apply them to each write (tool call, commit, integration).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from aegis_tui.domain.effort import Effort
from aegis_tui.domain.glob.cost import compile_within
from aegis_tui.domain.glob.index import near_pairs
from aegis_tui.domain.glob.overlap import overlap
from aegis_tui.domain.glob.pattern import Glob, compile_glob, split_path
from aegis_tui.domain.model import FrozenModel
from aegis_tui.domain.path.git_path import is_git_path
from aegis_tui.domain.path.index import path_key

Rule = Literal["own", "joint", "granted", "shared", "foreign", "unowned", "specs"]

SHARED_OWNER = "shared"
"""The name of the list of read-only shared globs, where an owner is named."""

JOINT_OWNER = "joint"
"""The name of the list of joint globs, where an owner is named."""


class Overlap(FrozenModel):
    """Two globs of different owners that share a path."""

    a: str
    """A glob of the first owner."""

    b: str
    """A glob of the second owner."""

    owners: tuple[str, str]
    """The two owners, in the order of `a` and `b`."""

    witness: str
    """A path that both match."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether an instance may write a path, by which rule, and who owns the path."""

    allowed: bool
    rule: Rule
    owner: str | None
    """The instance whose partition holds the path; None when no partition does, and for joint paths."""

    message: str
    """One sentence for the instance and for a person, without a full stop."""

    needs_lock: bool = False
    """An EXCLUSIVE lock must be held while writing, as several instances may write there."""


def find_overlaps(
    owners: Mapping[str, Sequence[str]], *, ignore_case: bool = False, effort: Effort | None = None
) -> list[Overlap]:
    """Return every pair of globs of different owners that share a path, in the order given; empty when there is none.

    Args:
        owners: Globs by the name of their owner.
        ignore_case: Compare case-folded, as git does where `core.ignorecase` is set.
        effort: What the whole request may still cost; None allows this call the budget of a whole request.

    Raises:
        Refused: code `glob`, when a text is not a glob; code `glob.effort`, when it would cost too much.

    Source: PART-1.
    """
    effort = Effort() if effort is None else effort
    compiled = [(owner, _compile(globs, ignore_case, effort)) for owner, globs in owners.items()]
    overlaps = []
    for (one, a), (other, b) in near_pairs([globs for _, globs in compiled], effort):
        owners_of, glob_a, glob_b = (compiled[one][0], compiled[other][0]), compiled[one][1][a], compiled[other][1][b]
        if (witness := overlap(glob_a, glob_b, effort=effort)) is not None:
            overlaps.append(Overlap(a=glob_a.text, b=glob_b.text, owners=owners_of, witness=witness))
    return overlaps


_Texts = Sequence[tuple[str, Sequence[str]]]
"""Pairs of an owner and its globs, as text."""

_Owned = Sequence[tuple[str, Sequence[Glob]]]
"""Pairs of an owner and its globs, compiled."""


def find_clashes(ones: _Texts, others: _Texts, effort: Effort, *, ignore_case: bool = False) -> list[Overlap]:
    """Return every pair of a glob of the first side and one of the second that share a path, in the order given.

    Empty when there is none.

    Args:
        ones: The first side: owners and their globs, which are not compared with each other.
        others: The second side.
        effort: What the whole request may still cost.
        ignore_case: Compare case-folded, as git does where `core.ignorecase` is set.

    Raises:
        Refused: code `glob`, when a text is not a glob; code `glob.effort`, when it would cost too much.
    """
    sides = [[(owner, _compile(globs, ignore_case, effort)) for owner, globs in side] for side in (ones, others)]
    return _overlaps_between(sides[0], sides[1], effort)


def _overlaps_between(ones: _Owned, others: _Owned, effort: Effort) -> list[Overlap]:
    left, right = (
        [(at, owner, glob) for at, (owner, globs) in enumerate(side) for glob in globs] for side in (ones, others)
    )
    near = near_pairs([[glob for *_, glob in left], [glob for *_, glob in right]], effort)
    pairs = [(left[a], right[b]) for (_, a), (_, b) in near]
    overlaps = []
    for (_, owner_a, a), (_, owner_b, b) in sorted(pairs, key=lambda pair: (pair[0][0], pair[1][0])):
        if (witness := overlap(a, b, effort=effort)) is not None:
            overlaps.append(Overlap(a=a.text, b=b.text, owners=(owner_a, owner_b), witness=witness))
    return overlaps


def _compile(globs: Iterable[str], ignore_case: bool, effort: Effort | None = None) -> tuple[Glob, ...]:
    """Compile globs; without `effort` only those of the log, whose cost was accepted when they were logged.

    Raises:
        Refused: code `glob`, when a text is not a glob; code `glob.effort`, when `effort` has not enough steps left.
    """
    if effort is None:
        return tuple(compile_glob(text, ignore_case=ignore_case) for text in globs)
    return tuple(compile_within(text, effort, ignore_case=ignore_case) for text in globs)


def _texts(globs: Iterable[Glob]) -> tuple[str, ...]:
    return tuple(glob.text for glob in globs)


class PartitionTable:
    """The partitions, the shared and joint globs, and the grants of one workspace. Changed in place by its one owner.

    Args:
        ignore_case: Compare case-folded, as git does where `core.ignorecase` is set.
    """

    def __init__(self, *, ignore_case: bool = False) -> None:
        self.ignore_case = ignore_case
        self._owned: dict[str, tuple[Glob, ...]] = {}
        self._granted: dict[str, dict[str, str]] = {}
        self._shared: tuple[Glob, ...] = ()
        self._joint: tuple[Glob, ...] = ()

    @property
    def partitions(self) -> dict[str, tuple[str, ...]]:
        """Globs by agent id, in the order the agents were first set; a copy."""
        return {agent_id: _texts(globs) for agent_id, globs in self._owned.items()}

    @property
    def shared(self) -> tuple[str, ...]:
        """Globs that every worker may read and none may write."""
        return _texts(self._shared)

    @property
    def joint(self) -> tuple[str, ...]:
        """Globs that any worker may write under an EXCLUSIVE lock."""
        return _texts(self._joint)

    @property
    def grants(self) -> dict[str, tuple[str, ...]]:
        """Paths by the agent they were granted to; a copy."""
        return {agent_id: tuple(paths.values()) for agent_id, paths in self._granted.items()}

    def with_case(self, *, ignore_case: bool) -> PartitionTable:
        """Return a table with the same partitions and grants for another case rule; shared and joint are empty."""
        table = PartitionTable(ignore_case=ignore_case)
        for agent_id, globs in self.partitions.items():
            table.set(agent_id, globs)
        for agent_id, paths in self.grants.items():
            for path in paths:
                table.grant(agent_id, path)
        return table

    def copy(self) -> PartitionTable:
        """Return an independent table; it shares the compiled globs, which never change."""
        table = PartitionTable(ignore_case=self.ignore_case)
        table._owned, table._shared, table._joint = dict(self._owned), self._shared, self._joint
        table._granted = {agent_id: dict(paths) for agent_id, paths in self._granted.items()}
        return table

    def dump(self) -> dict[str, Any]:
        """Return the table as plain values for a snapshot."""
        return {
            "ignore_case": self.ignore_case,
            "partitions": {name: list(globs) for name, globs in self.partitions.items()},
            "grants": {name: list(paths) for name, paths in self.grants.items()},
            "shared": list(self.shared),
            "joint": list(self.joint),
        }

    @classmethod
    def load(cls, plain: Mapping[str, Any]) -> PartitionTable:
        """Return a new table with what `dump` returned.

        Raises:
            KeyError: A part is missing.
            Refused: A text is not a glob (code `glob`).
        """
        table = cls(ignore_case=plain["ignore_case"])
        for name, globs in plain["partitions"].items():
            table.set(name, globs)
        for name, paths in plain["grants"].items():
            for path in paths:
                table.grant(name, path)
        table.set_scope(shared=plain["shared"], joint=plain["joint"])
        return table

    def set(self, agent_id: str, globs: Sequence[str]) -> None:
        """Replace the partition of an instance. Overlaps are not checked here: ask `overlaps_with` first.

        Raises:
            Refused: code `glob`: a text is not a glob; the table is then unchanged.
        """
        self._owned[agent_id] = _compile(globs, self.ignore_case)

    def set_scope(self, *, shared: Sequence[str] = (), joint: Sequence[str] = ()) -> None:
        """Replace the shared and the joint globs; a list that is left out becomes empty.

        Raises:
            Refused: code `glob`: a text is not a glob; the table is then unchanged.
        """
        self._shared, self._joint = _compile(shared, self.ignore_case), _compile(joint, self.ignore_case)

    def remove(self, agent_id: str) -> None:
        """Remove the partition and the grants of an instance; an unknown instance changes nothing."""
        self._owned.pop(agent_id, None)
        self._granted.pop(agent_id, None)

    def grant(self, agent_id: str, path: str) -> None:
        """Let an instance write one path outside its partition, under a lock where others may write it too (PART-6).

        Args:
            agent_id: The instance.
            path: Relative to the repository. It is not checked whether anyone may write it: ask `is_closed` first.
        """
        self._granted.setdefault(agent_id, {})[self._key(path)] = path

    def overlaps_with(self, agent_id: str, globs: Sequence[str], *, effort: Effort | None = None) -> list[Overlap]:
        """Return the overlaps with other instances and with the shared and joint lists if an instance had these globs.

        In each, `a` is one of these globs. Empty if there are none. The table is not changed.

        Args:
            agent_id: The instance; its current partition is not compared.
            globs: The globs that it would have.
            effort: What the whole request may still cost; None allows this call the budget of a whole request.

        Raises:
            Refused: code `glob`, when a text is not a glob; code `glob.effort`, when it would cost too much.
        """
        effort = Effort() if effort is None else effort
        wanted = _compile(globs, self.ignore_case, effort)
        others = [(owner, owned) for owner, owned in self._owned.items() if owner != agent_id]
        lists = [(SHARED_OWNER, self._shared), (JOINT_OWNER, self._joint)]
        return _overlaps_between([(agent_id, wanted)], [*others, *lists], effort)

    def is_closed(self, path: str) -> bool:
        """Return whether no partition and no grant can open the path.

        So it is with git's own paths, specs, and what is no path inside the repository. Letter case is ignored.
        """
        return self._reserved(path) is not None

    def owner_of(self, path: str) -> str | None:
        """Return the first instance whose partition holds the path; None when no partition does."""
        return next((agent_id for agent_id, globs in self._owned.items() if _any_match(globs, path)), None)

    def verdict(self, agent_id: str, path: str) -> Verdict:
        """Decide whether an instance may write a path.

        Args:
            agent_id: The instance, named as in `set` and `grant`.
            path: Relative to the repository, after links were resolved. Any other text is not allowed to anyone.

        Source: PART-1, PART-2, PART-3, PART-6, ROLE-2.
        """
        if (reserved := self._reserved(path)) is not None:
            return reserved
        owners = [owner for owner, globs in self._owned.items() if _any_match(globs, path)]
        owner = agent_id if agent_id in owners else next(iter(owners), None)
        rivals = {*owners, *self._grantees(path)} - {agent_id}
        if owner == agent_id:
            return Verdict(
                allowed=True, rule="own", owner=owner, message=f"{path} is in your partition", needs_lock=bool(rivals)
            )
        if _any_match(self._joint, path):
            message = f"{path} is joint: write it while you hold an EXCLUSIVE lock on it"
            return Verdict(allowed=True, rule="joint", owner=None, message=message, needs_lock=True)
        if self._key(path) in self._granted.get(agent_id, {}):
            message = f"{path} was granted to you"
            return Verdict(allowed=True, rule="granted", owner=owner, message=message, needs_lock=bool(rivals))
        return self._refusal(path, owner)

    def _refusal(self, path: str, owner: str | None) -> Verdict:
        rule: Rule
        if _any_match(self._shared, path):
            rule, message = "shared", f"{path} is shared and read-only: no worker may write it"
        elif owner is not None:
            rule, message = "foreign", f"{path} belongs to {owner}"
        else:
            rule, message = "unowned", f"{path} is in nobody's partition"
        return Verdict(allowed=False, rule=rule, owner=owner, message=message)

    def _reserved(self, path: str) -> Verdict | None:
        """Return the refusal of a path that no grant and no partition can open; None for any other.

        Letter case is always ignored.
        """
        names = split_path(path, ignore_case=True)
        if names is None:
            message = f"{path or 'an empty path'} is not a path inside the repository"
            return Verdict(allowed=False, rule="unowned", owner=None, message=message)
        if is_git_path(path):
            return Verdict(
                allowed=False, rule="unowned", owner=None, message=f"{path} is part of git's own folder (.git)"
            )
        if names == (".agents",):  # as a link it would lead the hub to specs elsewhere
            message = f"{path} has the specs, and must stay a folder"
            return Verdict(allowed=False, rule="specs", owner=None, message=message)
        if names[:2] == (".agents", "specs"):
            message = f"{path} is a spec, which only the hub may write"
            return Verdict(allowed=False, rule="specs", owner=None, message=message)
        return None

    def _grantees(self, path: str) -> list[str]:
        key = self._key(path)
        return [agent_id for agent_id, paths in self._granted.items() if key in paths]

    def _key(self, path: str) -> str:
        return path_key(path, ignore_case=self.ignore_case)


def _any_match(globs: Iterable[Glob], path: str) -> bool:
    return any(glob.matches(path) for glob in globs)
