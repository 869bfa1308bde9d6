"""A request that waits for its locks, and its place in the queue."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from pydantic import Field

from aegis_tui.domain.lock.events import LockWaitMoved
from aegis_tui.domain.lock.model import COMPATIBLE, LockMode, Rank, Region, Resource
from aegis_tui.domain.lock.region import MAX_VIEWS, View, with_view
from aegis_tui.domain.model import FrozenModel

RANK_ORDER: Final[Mapping[Rank, int]] = MappingProxyType({Rank.PLAIN: 0, Rank.UPGRADE: 1, Rank.HELD: 2})


class Wait(FrozenModel):
    """A request that waits for all of its resources at once."""

    request_id: str
    agent_id: str
    resources: tuple[Resource, ...]
    """In canonical order."""
    ranks: tuple[Rank, ...]
    """One for each resource."""
    mode: LockMode
    ttl_s: float
    wait_s: float
    order: int
    """Position in the order of arrival over all requests of the workspace."""
    review_blobs: dict[str, str] = Field(default_factory=dict)

    def is_behind(self, other: Wait) -> bool:
        """Return whether `other` must be granted or withdrawn before this one (fairness: no overtaking).

        It must if it is of another instance, the modes exclude each other, and on a common resource it has the higher
        rank, or the same and came first.
        """
        if self.agent_id == other.agent_id or other.mode in COMPATIBLE[self.mode]:
            return False
        return any(
            RANK_ORDER[theirs] > RANK_ORDER[mine] or (theirs is mine and other.order < self.order)
            for resource, mine in zip(self.resources, self.ranks, strict=True)
            for wanted, theirs in zip(other.resources, other.ranks, strict=True)
            if resource.overlaps(wanted)
        )

    def moved(self, data: LockWaitMoved) -> Wait:
        """Return the request with the new lines that the event gives one of its regions for one content of the file.

        The same if it has no such region. If the content is in the waiter's own checkout, a region of lines takes its
        new lines, and they become its first view.
        """
        view = View(base_oid=data.base_oid, spans=data.spans)
        return self.model_copy(update={"resources": tuple(_moved(item, data, view) for item in self.resources)})


def _moved(resource: Resource, data: LockWaitMoved, view: View) -> Resource:
    if (resource.path, resource.region) != (data.path, data.region):
        return resource
    if not data.own:
        return resource.model_copy(update={"views": with_view(resource.views, view)})
    others = tuple(item for item in resource.views if item.base_oid != view.base_oid)
    region = Region(lines=data.spans[0]) if data.region.lines is not None else data.region
    return resource.model_copy(update={"region": region, "views": (view, *others)[:MAX_VIEWS]})
