"""Rules for a person's comments on lines of a piece (WISH-2)."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from aegis_tui.domain.decision import Actor, Decision
from aegis_tui.domain.instance.rules import living_instance, message_number, prompted
from aegis_tui.domain.registry import Rules
from aegis_tui.domain.review.commands import ReviewComment, ReviewDiscard, ReviewSend
from aegis_tui.domain.review.comment import MOST_COMMENTS
from aegis_tui.domain.review.events import ReviewCommented, ReviewDiscarded, ReviewSent
from aegis_tui.domain.run import brief
from aegis_tui.domain.run.model import Run
from aegis_tui.domain.wire.reply import CommentedReply, CommentsSentReply, DiscardedReply
from aegis_tui.domain.workspace import Workspace
from aegis_tui.errors import Refused, UsageError


def comment(workspace: Workspace, command: ReviewComment, actor: Actor, request_id: str) -> Decision:
    """Note a comment on a line of a piece; the reply has its number, and how many of the piece wait.

    Raises:
        UsageError: There is no such piece, or the comment is empty.
        Refused: The run has ended, or too many comments wait.
    """
    run = _run_of(workspace, command.piece)
    if not command.text.strip():
        raise UsageError("the comment is empty", "aegis-tui review comment PIECE FILE:LINE TEXT")
    if len(run.comments) >= MOST_COMMENTS:
        raise Refused(f"{MOST_COMMENTS} comments have not been sent yet", "send them first", code="review.comments")
    number = max((item.number for item in run.comments), default=0) + 1
    noted = ReviewCommented(
        run=run.run,
        piece=command.piece,
        number=number,
        file=command.file,
        line=command.line,
        text=command.text,
        quote=command.quote,
    )
    waiting = len(run.comments_on(command.piece)) + 1
    return Decision([(actor.agent_id, noted)], CommentedReply(number=number, waiting=waiting))


def discard(workspace: Workspace, command: ReviewDiscard, actor: Actor, request_id: str) -> Decision:
    """Discard the named comments on a piece that wait, or all; the reply has the numbers.

    Raises:
        UsageError: There is no such piece, or no comment on it of a number.
        Refused: The run has ended.
    """
    run = _run_of(workspace, command.piece)
    waiting = [item.number for item in run.comments_on(command.piece)]
    if unknown := set(command.numbers) - set(waiting):
        raise UsageError(
            f"there is no unsent comment {min(unknown)} on {command.piece}",
            f"aegis-tui review comments {command.piece}",
        )
    numbers = command.numbers or tuple(waiting)
    discarded = ReviewDiscarded(run=run.run, piece=command.piece, numbers=numbers)
    return Decision([(actor.agent_id, discarded)] if numbers else [], DiscardedReply(numbers=list(numbers)))


def send(workspace: Workspace, command: ReviewSend, actor: Actor, request_id: str) -> Decision:
    """Send all comments on a piece to its agent as one prompt; a submission is taken back, as by `instance:send`.

    The reply has what that of `instance:send` has, and how many comments there were.

    Raises:
        UsageError: There is no such piece, or no comment on it waits.
        Refused: The run has ended, the piece has no living agent, or is judged already with the others; the comments
            wait on.
    """
    run = _run_of(workspace, command.piece)
    comments = run.comments_on(command.piece)
    if not comments:
        raise UsageError(
            f"there is no unsent comment on {command.piece}", f"aegis-tui review comment {command.piece} FILE:LINE TEXT"
        )
    agent_id = run.pieces[command.piece].agent_id
    if agent_id is None:
        raise Refused(f"{command.piece} has no agent now", "send them when it has one", code="instance.gone")
    instance = living_instance(workspace, agent_id)
    drafts = prompted(workspace, instance, brief.comments_text(command.piece, comments), actor)
    numbers = tuple(item.number for item in comments)
    sent = ReviewSent(run=run.run, piece=command.piece, to=instance.agent_id, numbers=numbers)
    return Decision(
        [*drafts, (actor.agent_id, sent)],
        lambda events: CommentsSentReply(
            delivery="queued",
            seq=message_number(events),
            agent_id=instance.agent_id,
            comments=len(numbers),
        ),
    )


def _run_of(workspace: Workspace, piece: str) -> Run:
    """Return the newest run, which has this piece.

    Raises:
        UsageError: There is no run, or it has no such piece.
        Refused: It has ended.
    """
    run = workspace.runs.latest()
    if run is None or piece not in run.pieces:
        names = ", ".join(run.pieces) if run else ""
        raise UsageError(f"there is no piece {piece}", f"the pieces are: {names}" if names else "aegis-tui status")
    if not run.is_open:
        raise Refused(f"run {run.run} has ended", "start another run", code="run.ended")
    return run


RULES: Final[Rules] = MappingProxyType({ReviewComment: comment, ReviewDiscard: discard, ReviewSend: send})
