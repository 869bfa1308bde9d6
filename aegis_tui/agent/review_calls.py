"""What the built-in agent does for its tools `request_review` and `verdict` (REV-1, REV-4)."""

from __future__ import annotations

from typing import Any

from aegis_tui.agent.files import OwnWorktree
from aegis_tui.agent.finding_places import misplaced
from aegis_tui.agent.hand_in import TaskContext
from aegis_tui.domain.tool.model import VerdictArguments
from aegis_tui.errors import UsageError
from aegis_tui.ports.hub_link import HubLink
from aegis_tui.sdk.context import whole_context


async def request_review(link: HubLink, context: TaskContext) -> str:
    """Request a review of the work so far on the piece that an instance builds; return the id of the review.

    Args:
        link: The connection of the instance.
        context: Its task, with the spec of the piece.

    Raises:
        UsageError: It builds no piece.
        AegisError: The hub refuses it, or does not answer.
    """
    run = (await whole_context(link.command)).get("run") or {}
    piece = next((item["name"] for item in run.get("pieces", []) if item["spec_id"] == context.spec_id), None)
    if piece is None:
        raise UsageError("you build no piece")
    return str((await link.command("review:request", piece=piece))["review_id"])


async def verdict_fields(wanted: VerdictArguments, context: TaskContext, worktree: OwnWorktree) -> dict[str, Any]:
    """Return the fields of `review:verdict` for a call that can be sent.

    Raises:
        UsageError: No review is open, a rejection has no finding, or a finding names a place that is not there.
    """
    if context.review_id is None:
        raise UsageError("no review is open")
    if wanted.decision == "reject" and not wanted.findings:
        raise UsageError("a rejection needs at least one finding that says what to change")
    if problems := await misplaced(wanted.findings, worktree):
        raise UsageError("; ".join(problems), "Give the verdict again with these findings corrected")
    return {"review_id": context.review_id, **wanted.model_dump(mode="json", by_alias=True)}
