"""What a write does to the regions of its file: it stays inside its own, and others move with the lines (LOCK-1)."""

from __future__ import annotations

from collections.abc import Iterable

from aegis_tui.domain.lock import Draft, Lock, LockMode, LockMoved, Region
from aegis_tui.domain.region import Rewrite, Span, grow_all, is_inside, joined, move_all
from aegis_tui.domain.workspace import Workspace
from aegis_tui.errors import StaleToken


def after_write(workspace: Workspace, lock: Lock, rewrite: Rewrite | None) -> list[Draft]:
    """Where every region of the file is, now that it was written under `lock`.

    A region that is not known in the content that was replaced stays as it is: it goes on being compared in the
    contents that it is known in.

    Args:
        workspace: State after the last logged event.
        lock: The current lock that the write names.
        rewrite: What was written; None when the hub could not see it.

    Raises:
        StaleToken: The write goes over the ends of what its holder has locked.
    """
    if rewrite is None:
        return []
    path = lock.resource.path
    regions = [item for item in workspace.locks.locks_on(path) if item.resource.region]
    _check_own(lock, regions, rewrite)
    drafts: list[Draft] = []
    for item in regions:
        spans = _spans_in(item, rewrite.base_oid)
        if spans is None or item.resource.region is None:
            continue
        is_own = item.agent_id == lock.agent_id
        moved = grow_all(spans, rewrite.hunks) if is_own else move_all(spans, rewrite.hunks)
        is_here = is_own or _folder(workspace, item.agent_id) == _folder(workspace, lock.agent_id)
        drafts.append((item.agent_id, _moved(item, item.resource.region, rewrite, moved, is_here=is_here)))
    return drafts


def _check_own(lock: Lock, regions: Iterable[Lock], rewrite: Rewrite) -> None:
    if lock.resource.region is None or _spans_in(lock, rewrite.base_oid) is None:
        return
    own = [item for item in regions if item.agent_id == lock.agent_id and item.mode is LockMode.EXCLUSIVE]
    mine = joined(span for item in own for span in _spans_in(item, rewrite.base_oid) or ())
    outside = [hunk for hunk in rewrite.hunks if not is_inside(hunk, mine)]
    if outside:
        raise StaleToken(
            f"line {outside[0].start} of {lock.resource.path} lies outside of {lock.resource.region}, which is locked",
            "undo the write, and lock what it changes",
            path=lock.resource.path,
            token=lock.token,
        )


def _moved(lock: Lock, region: Region, rewrite: Rewrite, spans: tuple[Span, ...] | None, *, is_here: bool) -> LockMoved:
    if spans and region.lines is not None and is_here:
        region = Region(lines=spans[0])
    return LockMoved(
        lock_id=lock.lock_id,
        path=lock.resource.path,
        region=region,
        token=lock.token,
        base_oid=rewrite.new_oid,
        spans=spans or (),
        stale=not spans,
    )


def _spans_in(lock: Lock, oid: str) -> tuple[Span, ...] | None:
    return next((view.spans for view in lock.resource.views if view.base_oid == oid), None)


def _folder(workspace: Workspace, agent_id: str) -> str | None:
    """Which checkout an instance writes in; None is the person's own."""
    instance = workspace.get_instance(agent_id)
    return instance.worktree if instance is not None else None
