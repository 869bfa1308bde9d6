"""What a write does to locked regions: it must stay inside its own, and the others move with their lines (LOCK-1)."""

from __future__ import annotations

from collections.abc import Iterator

from aegis_tui.domain.lock.events import LockMoved, LockWaitMoved
from aegis_tui.domain.lock.model import Draft, GrantedLock, LockMode, Region, Resource
from aegis_tui.domain.lock.region import Rewrite, Span, grow_all, is_inside, joined, move_all
from aegis_tui.domain.lock.wait import Wait
from aegis_tui.domain.workspace import Workspace
from aegis_tui.errors import StaleToken


def after_write(workspace: Workspace, lock: GrantedLock, path: str, rewrite: Rewrite | None) -> list[Draft]:
    """Return the events with the new lines of each region of a file, locked or waited for, after a write under `lock`.

    A region is a part of a file: lines, or a function or class. One whose lines in the replaced content
    (`rewrite.base_oid`) are not recorded gets no event: its record for other contents stays valid.

    Args:
        workspace: State after the last logged event.
        lock: The current lock that the write names.
        path: The file, in NFC; below the path of `lock` where that is a directory.
        rewrite: What was written; None when the hub could not read it, which gives no events.

    Raises:
        StaleToken: `lock` is for a region with recorded lines, and the write changes lines outside the regions that its
            holder has locked exclusively; or that cannot be determined, because `rewrite` is None or the region's lines
            in the replaced content are not recorded.
    """
    if lock.resource.region is not None and lock.resource.views:
        _check_own(workspace, lock, path, rewrite)
    if rewrite is None:
        return []
    writer = _folder(workspace, lock.agent_id)
    drafts: list[Draft] = []
    for item in workspace.locks.locks_on(path):
        is_own = item.agent_id == lock.agent_id
        is_here = is_own or _folder(workspace, item.agent_id) == writer
        if (region := item.resource.region) and (spans := _spans_in(item.resource, rewrite.base_oid)):
            moved = grow_all(spans, rewrite.hunks) if is_own else move_all(spans, rewrite.hunks)
            drafts.append((item.agent_id, _moved(item, region, rewrite, moved, is_here=is_here)))
    for wait in workspace.locks.waits_on(path):
        is_here = _folder(workspace, wait.agent_id) == writer
        drafts += [(wait.agent_id, event) for event in _waits_moved(wait, path, rewrite, is_here=is_here)]
    return drafts


def _check_own(workspace: Workspace, lock: GrantedLock, path: str, rewrite: Rewrite | None) -> None:
    if rewrite is None or _spans_in(lock.resource, rewrite.base_oid) is None:
        raise StaleToken(
            f"the hub cannot determine whether the write of {path} stays inside {lock.resource.region}",
            "undo the write, acquire the lock again on the current file, and send base_oid with the next write",
            path=path,
            token=lock.token,
        )
    own = [
        item
        for item in workspace.locks.locks_on(path)
        if item.agent_id == lock.agent_id and item.resource.region and item.mode is LockMode.EXCLUSIVE
    ]
    mine = joined(span for item in own for span in _spans_in(item.resource, rewrite.base_oid) or ())
    outside = [hunk for hunk in rewrite.hunks if not is_inside(hunk, mine)]
    if outside:
        raise StaleToken(
            f"line {outside[0].start} of {path} lies outside {lock.resource.region}, the locked region",
            "undo the write, and lock the lines that it changes",
            path=path,
            token=lock.token,
        )


def _waits_moved(wait: Wait, path: str, rewrite: Rewrite, *, is_here: bool) -> Iterator[LockWaitMoved]:
    """Yield an event for each region of one file that a request waits for, with its lines after a write.

    The region keeps its lines where the write leaves them, and else grows with the change as one by its holder would.
    One whose lines in the replaced content are not recorded, or are gone, gets no event.

    Args:
        wait: The request.
        path: The file.
        rewrite: What was written.
        is_here: Whether the waiter works in the checkout in which it was written.
    """
    for item in wait.resources:
        spans = _spans_in(item, rewrite.base_oid)
        if item.path != path or item.region is None or spans is None:
            continue
        if moved := move_all(spans, rewrite.hunks) or grow_all(spans, rewrite.hunks):
            yield LockWaitMoved(
                request_id=wait.request_id,
                path=path,
                region=item.region,
                base_oid=rewrite.new_oid,
                spans=moved,
                own=is_here,
            )


def _moved(
    lock: GrantedLock, region: Region, rewrite: Rewrite, spans: tuple[Span, ...] | None, *, is_here: bool
) -> LockMoved:
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
        own=is_here,
    )


def _spans_in(resource: Resource, oid: str) -> tuple[Span, ...] | None:
    return next((view.spans for view in resource.views if view.base_oid == oid), None)


def _folder(workspace: Workspace, agent_id: str) -> str | None:
    """Return the worktree that an instance writes in; None for the person's own checkout, also for an unknown agent."""
    instance = workspace.get_instance(agent_id)
    return instance.worktree if instance is not None else None
