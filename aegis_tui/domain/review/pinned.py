"""The REVIEW locks of a reviewer: the blobs that it reads, and which of them change meanwhile (REV-1, LOCK-2).

A reviewer reads a commit, which no write can change. Its locks therefore keep nobody from writing. They say what is
being read, and that a verdict holds for these blobs, not for what is written in the meantime.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from aegis_tui.domain.count import counted
from aegis_tui.domain.ids import HUB
from aegis_tui.domain.lock.end import released
from aegis_tui.domain.lock.events import LockAcquired
from aegis_tui.domain.lock.model import MAX_TTL_S, Draft, GrantedLock, LockMode, Resource, lock_id_of
from aegis_tui.domain.message.events import MessageSent
from aegis_tui.domain.review.events import ReviewStale
from aegis_tui.domain.review.model import Review
from aegis_tui.domain.run.model import Run
from aegis_tui.domain.workspace import Workspace

MOST_PINNED: Final = 100
"""Of how many files of a review, the first by path, the blobs are known; the others are not locked."""

_MOST_NOTES: Final = 5
_SHOWN: Final = 10


def pinned_blobs(blobs: Mapping[str, str]) -> dict[str, str]:
    """Return path -> blob id of the files that a reviewer will lock, of all that it will read."""
    return dict(sorted(blobs.items())[:MOST_PINNED])


def locks_of_reading(workspace: Workspace, review: Review, reviewer: str, *, before: int) -> list[Draft]:
    """Return the locks that a reviewer gets when it begins to read, and a note to it about what has changed by then.

    Args:
        workspace: State after the last logged event.
        review: Its review.
        reviewer: Its agent id.
        before: How many events are logged before these; the tokens follow from it.
    """
    drafts: list[Draft] = []
    for path, blob in review.blobs.items():
        token = workspace.seq + before + len(drafts) + 1
        if _is_lockable(path):
            lock = LockAcquired(
                lock_id=lock_id_of(token),
                path=path,
                region=None,
                lock_type=LockMode.REVIEW,
                token=token,
                ttl_s=MAX_TTL_S,
                request_id=review.review_id,
                waited=False,
                review_blob=blob,
            )
            drafts.append((reviewer, lock))
    if review.stale:
        named = ", ".join(review.stale[:_SHOWN])
        more = f" and {counted(rest, 'more file')}" if (rest := len(review.stale) - _SHOWN) > 0 else ""
        text = f"Since this review was requested, its author has changed {named}{more}. Review the commit as it is."
        drafts.append((HUB, MessageSent(to=reviewer, text=text)))
    return drafts


def _is_lockable(path: str) -> bool:
    """Whether a path can be that of a lock; not one with control characters, for example."""
    try:
        return Resource(path=path).path == path
    except ValueError:
        return False


def is_being_read(workspace: Workspace, lock: GrantedLock) -> bool:
    """Whether a lock is that of a living reviewer on a blob that it reads for a review without a verdict."""
    reviewer = workspace.get_instance(lock.agent_id)
    if lock.review_blob is None or reviewer is None or not reviewer.is_alive or reviewer.review_id != lock.request_id:
        return False
    run = workspace.runs.by_id.get(reviewer.run or "")
    review = run.reviews.get(lock.request_id) if run else None
    return review is not None and not review.is_decided


def freed(workspace: Workspace, review: Review) -> list[Draft]:
    """Return the events that release the locks of a review that now has a verdict."""
    reviewer = review.reviewer or ""
    return [(reviewer, released(lock, "verdict")) for lock in workspace.locks.granted(reviewer, review.review_id)]


def changed_under_review(workspace: Workspace, agent_id: str, path: str, oid: str | None) -> list[Draft]:
    """Return the events after an instance changed a file in its worktree: `review:stale` if it is being reviewed.

    Its worker and the reviewer get a note with the first five files of a review. A file is said to have changed once
    for each review. Empty if the content is the one that is reviewed.

    Args:
        workspace: State after the last logged event.
        agent_id: The instance.
        path: The file.
        oid: The blob id of its new content; None if it is not known, or there is none.
    """
    instance = workspace.get_instance(agent_id)
    run = workspace.runs.by_id.get(instance.run or "") if instance else None
    piece = run.pieces.get(instance.piece or "") if run and instance else None
    if run is None or piece is None or piece.agent_id != agent_id:
        return []
    part = run.open_part(piece)
    drafts: list[Draft] = []
    for review in [*run.reviews_of(piece), *([part] if part else [])]:
        blob = review.blobs.get(path)
        if blob is not None and blob != oid and not review.is_decided and path not in review.stale:
            stale = ReviewStale(run=run.run, review_id=review.review_id, path=path, blob=blob, oid=oid)
            drafts += [(agent_id, stale), *_notes(workspace, run, review, agent_id, path)]
    return drafts


def _notes(workspace: Workspace, run: Run, review: Review, author: str, path: str) -> list[Draft]:
    if len(review.stale) >= _MOST_NOTES:
        return []
    blob = review.blobs[path][:12]
    reviewer = workspace.get_instance(review.reviewer or "") if review.status == "in_progress" else None
    reads = f"{review.reviewer} reviews" if reviewer is not None else "a reviewer will review"
    again = " Request another review if it is to see the change." if review.part else ""
    texts = {author: f"{path}: {reads} it as it was before your change (blob {blob}, {review.review_id}).{again}"}
    if reviewer is not None and reviewer.is_alive:
        texts[reviewer.agent_id] = (
            f"{path}: {author} has changed it since. Your verdict holds for the blob {blob} that you read, not for "
            "what is in its worktree now. Go on with the review."
        )
    return [(HUB, MessageSent(to=to, text=text)) for to, text in texts.items()]
