"""What a lock is: modes, resources, the lock events, and the values that `LockTable` keeps.

A resource is a path and, where less than the whole file is meant, a region of it. This module owns when two of them
meet and what is written to the log about them; who gets a lock and when is decided in `grant`.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated, Any, Final, Self

from pydantic import Field, field_validator, model_validator

from aegis_tui.domain.lock.region import Span, View, common, contain, cross
from aegis_tui.domain.model import EventData, FrozenModel
from aegis_tui.domain.path.file_name import is_below, read_name, write_name
from aegis_tui.errors import LockHeld

DEFAULT_TTL_S: Final = 300.0
MAX_TTL_S: Final = 600.0

Draft = tuple[str, EventData]
"""An event that is not logged yet: the id of the instance it belongs to, and its data."""


class LockMode(StrEnum):
    """How a lock is held (LOCK-2)."""

    EXCLUSIVE = "EXCLUSIVE"
    SHARED = "SHARED"
    REVIEW = "REVIEW"


COMPATIBLE: Final[Mapping[LockMode, frozenset[LockMode]]] = MappingProxyType(
    {
        LockMode.EXCLUSIVE: frozenset[LockMode](),
        LockMode.SHARED: frozenset({LockMode.SHARED, LockMode.REVIEW}),
        LockMode.REVIEW: frozenset({LockMode.SHARED, LockMode.REVIEW}),
    }
)
"""The published compatibility table: mode held -> modes that others may be granted beside it."""


def is_as_strong(held: LockMode, asked: LockMode) -> bool:
    """Whether a holder in mode `held` needs nothing more to act in mode `asked`."""
    return held in (asked, LockMode.EXCLUSIVE)


class Region(FrozenModel):
    """A part of a file: a range of lines, or a function or class by its dotted name. Exactly one of the two."""

    lines: Span | None = None
    """First and last line, 1-based, both in; against which content is said by the views of the `Resource`."""
    symbol: Annotated[str, Field(min_length=1)] | None = None
    """Dotted name, such as `Parser.parse`; `<imports>` and `<module>` name what is in no function or class."""

    @model_validator(mode="after")
    def _is_one_region(self) -> Self:
        if (self.lines is None) == (self.symbol is None):
            raise ValueError("a region is either lines or a symbol")
        if self.lines is not None and not 1 <= self.lines[0] <= self.lines[1]:
            raise ValueError("lines are 1-based and the first is not after the last")
        if self.symbol is not None and not all(part and part == part.strip() for part in self.symbol.split(".")):
            raise ValueError("a symbol is a dotted name without empty parts")
        return self

    def __str__(self) -> str:
        return f"{self.lines[0]}-{self.lines[1]}" if self.lines is not None else self.symbol or ""

    def overlaps(self, other: Region) -> bool:
        """Whether the two may share a line. Lines against a symbol always do: only a parser could tell them apart."""
        if self.lines is not None and other.lines is not None:
            return self.lines[0] <= other.lines[1] and other.lines[0] <= self.lines[1]
        if self.symbol is not None and other.symbol is not None:
            return self.covers(other) or other.covers(self)
        return True

    def covers(self, other: Region) -> bool:
        """Whether all of `other` is certain to lie inside this region."""
        if self.lines is not None and other.lines is not None:
            return self.lines[0] <= other.lines[0] and other.lines[1] <= self.lines[1]
        if self.symbol is not None and other.symbol is not None:
            return f"{other.symbol}.".startswith(f"{self.symbol}.")
        return False


class Resource(FrozenModel):
    """What a lock is taken on: a path of the repository, as a whole or a region of it.

    The path is relative to the repository, with `/`, in NFC and in its written form (`file_name`), without control or
    other invisible characters; a space of any kind is a character like others (macOS puts U+202F into the names of
    screenshots). One path inside another (`src` and `src/app.py`) overlaps it: the outer one is then a directory, and
    holding it holds what is below.
    """

    path: str
    region: Region | None = None
    """None means the whole path."""
    views: tuple[View, ...] = ()
    """Where the region lies: in the content it was resolved on, then in others; empty when the file was not read."""

    @field_validator("path")
    @classmethod
    def _is_normal(cls, path: str) -> str:
        name = read_name(path)
        if any(part in ("", ".", "..") for part in name.split("/")) or "\\" in name:
            raise ValueError("a path is relative to the repository, uses '/', and has no '.', '..' or empty part")
        if not all(char.isprintable() or unicodedata.category(char) in ("Zs", "Cs") for char in name):
            raise ValueError("a path has no control or other invisible characters")
        return write_name(unicodedata.normalize("NFC", name))

    def __str__(self) -> str:
        return self.path if self.region is None else f"{self.path}:{self.region}"

    @property
    def sort_key(self) -> tuple[str, int, tuple[int, int], str]:
        """The canonical order in which the resources of one request are granted."""
        if self.region is None:
            return (self.path, 0, (0, 0), "")
        if self.region.lines is not None:
            return (self.path, 1, self.region.lines, "")
        return (self.path, 2, (0, 0), self.region.symbol or "")

    def overlaps(self, other: Resource) -> bool:
        """Whether the two may share a line of a file."""
        if self.path != other.path:
            return is_below(self.path, other.path) or is_below(other.path, self.path)
        if self.region is None or other.region is None:
            return True
        is_named = self.region.symbol is not None and other.region.symbol is not None
        if (is_named and self.region.overlaps(other.region)) or not (self.views or other.views):
            return self.region.overlaps(other.region)
        known = common(self.views, other.views)
        return any(cross(mine, theirs) for mine, theirs in known) or not (known or is_named)

    def covers(self, other: Resource) -> bool:
        """Whether all of `other` is certain to lie inside this resource."""
        if self.path != other.path:
            return self.region is None and is_below(other.path, self.path)
        if self.region is None or other.region is None:
            return self.region is None
        if known := common(self.views, other.views):
            return all(contain(mine, theirs) for mine, theirs in known)
        is_named = self.region.symbol is not None and other.region.symbol is not None
        return (is_named or not (self.views or other.views)) and self.region.covers(other.region)

    def knows(self, other: Resource) -> bool:
        """Whether this says where it lies in the content that `other` was resolved on, as far as that matters."""
        if self.region is None or not (self.views and other.views):
            return True
        return any(view.base_oid == other.views[0].base_oid for view in self.views)


def conflicts(resource: Resource, mode: LockMode, other: Resource, other_mode: LockMode) -> bool:
    """Whether two different instances may not hold these at the same time."""
    return other_mode not in COMPATIBLE[mode] and resource.overlaps(other)


def lock_id_of(token: int) -> str:
    """The id of the lock that was granted with this token."""
    return f"L{token}"


class Rank(StrEnum):
    """Where a resource of a waiting request stands in the queue; fixed when the request is queued.

    Ranks are kept even when the lock behind them ends first: re-ranking a waiter would add edges to the wait-for graph
    that no enqueue has checked.
    """

    PLAIN = "plain"
    """In order of arrival."""
    UPGRADE = "upgrade"
    """The waiter holds it in a weaker mode: ahead of all that wait for that very lock to end."""
    HELD = "held"
    """The waiter holds it already, strongly enough, and asks for it again together with more."""


class Lock(FrozenModel):
    """A granted lock. Its end is not here: deadlines belong to the process that watches the clock."""

    lock_id: str
    agent_id: str
    resource: Resource
    mode: LockMode
    token: int
    ttl_s: float
    request_id: str
    review_blob: str | None = None
    """The blob a REVIEW lock reads."""
    stale: bool = False
    """Somebody changed lines of the region: it cannot be told any more where it is, and nothing may be written."""
    own_oid: str | None = None
    """The newest content of the file in its holder's checkout, as far as the region is known there."""

    def refuses(self, agent_id: str, resource: Resource, mode: LockMode) -> bool:
        """Whether this lock keeps `agent_id` from being granted `resource` in `mode`; a stale one protects nothing."""
        return not self.stale and self.agent_id != agent_id and conflicts(self.resource, self.mode, resource, mode)

    def is_weaker(self, resource: Resource, mode: LockMode) -> bool:
        """Whether this lock is on the very same place, and one in `mode` there leaves it without use."""
        is_same = (self.resource.path, self.resource.region) == (resource.path, resource.region)
        is_outdone = self.mode is not mode or not self.resource.knows(resource)
        return is_same and is_outdone and is_as_strong(mode, self.mode)


class LockRefused(LockHeld):
    """A lock request was decided against.

    Args:
        message: What is wrong, one sentence without a full stop.
        hint: What to do about it.
        audit: Events the caller logs about the refusal; they change no lock.
        code: HELD, UPGRADE or DEADLOCK.
        data: Facts for a program: `held_by`, `mode`, `region`, `lock_id`, `cycle`.
    """

    def __init__(self, message: str, hint: str = "", *, audit: tuple[Draft, ...], code: str, **data: Any) -> None:
        super().__init__(message, hint, code=code, **data)
        self.audit = audit
