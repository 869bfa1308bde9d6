"""When a review is in progress: from the moment at which its reviewer begins to read (REV-1)."""

from __future__ import annotations

from typing import Final

from aegis_tui.domain.instance.model import AgentStateName, Instance
from aegis_tui.domain.lock.model import Draft
from aegis_tui.domain.review.events import ReviewInProgress
from aegis_tui.domain.review.pinned import locks_of_reading
from aegis_tui.domain.workspace import Workspace

_READS: Final[frozenset[AgentStateName]] = frozenset(
    {"exploring", "planning", "implementing", "testing", "self-QA", "reviewing"}
)
"""States that an agent reports when its model works: the built-in one does so right before the first call."""


def begun_reading(workspace: Workspace, instance: Instance, state: AgentStateName, *, before: int = 0) -> list[Draft]:
    """Return `review:in_progress` and the REVIEW locks if a reviewer begins with its review; else nothing.

    It is said once for each reviewer: planning one, its worktree and its start are no reading.

    Args:
        workspace: State after the last logged event.
        instance: The sender of a report.
        state: The state that it reports.
        before: How many events are logged before these.
    """
    run = workspace.runs.by_id.get(instance.run or "")
    review = run.reviews.get(instance.review_id or "") if run else None
    if run is None or review is None or review.is_decided or state not in _READS:
        return []
    if review.status == "in_progress" and review.reviewer == instance.agent_id:
        return []
    begun = ReviewInProgress(run=run.run, review_id=review.review_id, reviewer=instance.agent_id)
    locks = locks_of_reading(workspace, review, instance.agent_id, before=before + 1)
    return [(instance.agent_id, begun), *locks]
