"""The values of locking: modes, regions, resources, granted locks, and the refusal of a lock request.

A resource is a path, or a region of the file at that path. This module defines when two resources overlap and which
modes can be held side by side. Which request gets a lock, and when, is decided in `grant`.
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
    """The mode of a lock (LOCK-2): EXCLUSIVE to write, SHARED to read, REVIEW to read a file that is reviewed."""

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
"""The published compatibility table: mode held -> modes that other instances may hold at the same time."""


def is_as_strong(held: LockMode, asked: LockMode) -> bool:
    """Return whether a lock held in mode `held` also permits what mode `asked` permits: the same mode, or EXCLUSIVE."""
    return held in (asked, LockMode.EXCLUSIVE)


class Region(FrozenModel):
    """A part of a file: a range of lines, or a function or class by its dotted name. Exactly one of the two."""

    lines: Span | None = None
    """First and last line, 1-based and inclusive, in the content that the views of the `Resource` name."""
    symbol: Annotated[str, Field(min_length=1)] | None = None
    """Dotted name, such as `Parser.parse`. `<imports>` and `<module>` name lines outside functions and classes."""

    @model_validator(mode="after")
    def _is_one_region(self) -> Self:
        if (self.lines is None) == (self.symbol is None):
            raise ValueError("a region must be either lines or a symbol")
        if self.lines is not None and not 1 <= self.lines[0] <= self.lines[1]:
            raise ValueError("line numbers start at 1, and the first must not be after the last")
        if self.symbol is not None and not all(part and part == part.strip() for part in self.symbol.split(".")):
            raise ValueError("a symbol must be a dotted name without empty parts")
        return self

    def __str__(self) -> str:
        return f"{self.lines[0]}-{self.lines[1]}" if self.lines is not None else self.symbol or ""

    def overlaps(self, other: Region) -> bool:
        """Return whether the two regions of one file may share a line.

        Two symbols do if they are the same or one is inside the other. Lines and a symbol always may: only a parser
        could decide.
        """
        if self.lines is not None and other.lines is not None:
            return self.lines[0] <= other.lines[1] and other.lines[0] <= self.lines[1]
        if self.symbol is not None and other.symbol is not None:
            return self.covers(other) or other.covers(self)
        return True

    def covers(self, other: Region) -> bool:
        """Return whether all of `other` is certain to lie inside this region of the same file.

        False for lines and a symbol, of which that cannot be known.
        """
        if self.lines is not None and other.lines is not None:
            return self.lines[0] <= other.lines[0] and other.lines[1] <= self.lines[1]
        if self.symbol is not None and other.symbol is not None:
            return f"{other.symbol}.".startswith(f"{self.symbol}.")
        return False


class Resource(FrozenModel):
    """What a lock is taken on: a path of the repository, as a whole or a region of it.

    The path is relative to the repository, with `/`, in NFC and in its written form (`file_name`), without control or
    other invisible characters. A space of any kind is allowed: macOS puts U+202F into the names of screenshots. A
    path overlaps all paths below it: a lock on the directory `src` also covers `src/app.py`.
    """

    path: str
    region: Region | None = None
    """None means the whole path."""
    views: tuple[View, ...] = ()
    """Where the region lies: first in the content it was resolved on, then in others; empty if no file was read."""

    @field_validator("path")
    @classmethod
    def _is_normal(cls, path: str) -> str:
        name = read_name(path)
        if any(part in ("", ".", "..") for part in name.split("/")) or "\\" in name:
            raise ValueError("a path must be relative to the repository, use '/', and have no '.', '..' or empty part")
        if name.isascii() and name.isprintable():
            return write_name(name)
        if not all(char.isprintable() or unicodedata.category(char) in ("Zs", "Cs") for char in name):
            raise ValueError("a path must not have control or other invisible characters")
        return write_name(unicodedata.normalize("NFC", name))

    def __str__(self) -> str:
        return self.path if self.region is None else f"{self.path}:{self.region}"

    @property
    def sort_key(self) -> tuple[str, int, tuple[int, int], str]:
        """The key by which the resources of one request are sorted before they are granted: by path, then by region.

        A whole path comes before its line ranges, and these before its symbols.
        """
        if self.region is None:
            return (self.path, 0, (0, 0), "")
        if self.region.lines is not None:
            return (self.path, 1, self.region.lines, "")
        return (self.path, 2, (0, 0), self.region.symbol or "")

    def overlaps(self, other: Resource) -> bool:
        """Return whether the two may share a line: of the same path, or one is a folder above the other.

        Two regions of one path overlap if their recorded lines in a content that both know cross, or their names do;
        without such a content, lines are compared as they are if neither has records, and else count as overlapping.
        """
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
        """Return whether all of `other` is certain to lie inside this resource; a whole path covers all below it.

        A region covers another if its lines do in every content that both know; without such a content, symbols are
        compared by name, and lines only if neither has recorded ones.
        """
        if self.path != other.path:
            return self.region is None and is_below(other.path, self.path)
        if self.region is None or other.region is None:
            return self.region is None
        if known := common(self.views, other.views):
            return all(contain(mine, theirs) for mine, theirs in known)
        is_named = self.region.symbol is not None and other.region.symbol is not None
        return (is_named or not (self.views or other.views)) and self.region.covers(other.region)

    def knows(self, other: Resource) -> bool:
        """Return whether the lines of this region are recorded for the content that `other` was first located in.

        Also true where this does not matter: this is a whole path, or one of the two has no recorded lines.
        """
        if self.region is None or not (self.views and other.views):
            return True
        return any(view.base_oid == other.views[0].base_oid for view in self.views)


def conflicts(resource: Resource, mode: LockMode, other: Resource, other_mode: LockMode) -> bool:
    """Return whether two instances cannot hold both at once: the resources overlap and the modes exclude each other."""
    return other_mode not in COMPATIBLE[mode] and resource.overlaps(other)


def lock_id_of(token: int) -> str:
    """Return the id of the lock that was granted with this token: `L` and the token."""
    return f"L{token}"


class Rank(StrEnum):
    """The priority of one resource of a waiting request; fixed when the request is queued.

    A rank stays even when the lock that it is based on ends first: a new rank would add edges to the wait-for graph
    that were not checked for a deadlock.
    """

    PLAIN = "plain"
    """In order of arrival."""
    UPGRADE = "upgrade"
    """The waiter holds the resource in a weaker mode: it comes before plain requests for an overlapping resource."""
    HELD = "held"
    """The waiter holds the resource already in a mode that is strong enough, and asks for it together with others."""


class GrantedLock(FrozenModel):
    """A granted lock. It has no end time: deadlines are kept where the clock is read."""

    lock_id: str
    agent_id: str
    resource: Resource
    mode: LockMode
    token: int
    ttl_s: float
    request_id: str
    review_blob: str | None = None
    """Id of the blob that the holder of a REVIEW lock reads; None if it reads the file itself."""
    stale: bool = False
    """A write changed lines of the region so that its place is no longer known: its holder may not write under it."""
    own_oid: str | None = None
    """Blob id of the newest content in the holder's checkout in which the place of the region is known."""

    def refuses(self, agent_id: str, resource: Resource, mode: LockMode) -> bool:
        """Return whether this lock prevents a grant of `resource` in `mode` to `agent_id`.

        It does if it is another agent's, the resources overlap and the modes exclude each other. A stale lock prevents
        nothing, nor does a REVIEW lock on a blob: no write changes what its holder reads.
        """
        if self.stale or self.review_blob is not None:
            return False
        return self.agent_id != agent_id and conflicts(self.resource, self.mode, resource, mode)

    def is_weaker(self, resource: Resource, mode: LockMode) -> bool:
        """Return whether a new lock on `resource` in `mode` replaces this one.

        It does when path and region are the same, the new mode permits all that this one does, and this lock has
        another mode or does not know its lines in the content that `resource` was located in.
        """
        is_same = (self.resource.path, self.resource.region) == (resource.path, resource.region)
        is_outdone = self.mode is not mode or not self.resource.knows(resource)
        return is_same and is_outdone and is_as_strong(mode, self.mode)


class LockRefused(LockHeld):
    """The refusal of a lock request.

    Args:
        message: What is wrong, one sentence without a full stop.
        hint: What to do about it.
        audit: Events that the caller logs about the refusal; they change no lock.
        code: HELD, UPGRADE, DEADLOCK or PARTITION.
        data: Facts for a program, by code: `held_by`, `mode`, `path`, `region`, `lock_id`, `cycle`, `rule`.
    """

    def __init__(self, message: str, hint: str = "", *, audit: tuple[Draft, ...], code: str, **data: Any) -> None:
        super().__init__(message, hint, code=code, **data)
        self.audit = audit
