"""The command that the hub submits when it gives up an effect: what failed, on what, and the first cause (FLOW-10).

Pure functions. An effect that fails for good ends what depends on it (an instance or the run), with the reason, so that
nothing waits forever.
"""

from __future__ import annotations

import errno

from aegis_tui.domain.cause import Cause, cause_of, ended, one_line
from aegis_tui.domain.command import AnyCommand
from aegis_tui.domain.effect import (
    CheckComposition,
    CommitRun,
    ComposePiece,
    Effect,
    FindCulprits,
    FinishRun,
    InspectPiece,
    LaunchInstance,
    PrepareInstance,
    PrepareRun,
    RebuildComposition,
    ReclaimInstance,
    RunPieceChecks,
    RunQa,
    StopInstance,
)
from aegis_tui.domain.instance.commands import InstanceMarkExited, InstanceMarkFailed, InstanceMarkReclaimed
from aegis_tui.domain.piece.commands import PieceMarkTested
from aegis_tui.domain.run.commands import RunFail
from aegis_tui.errors import AegisError

_FULL = (errno.ENOSPC, errno.EDQUOT)
_CLOSED = (errno.EROFS, errno.EACCES, errno.EPERM)


def cause_of_failure(error: Exception) -> Cause:
    """Return why an effect failed, as code, message and hint, from the error that ended it.

    An `AegisError` gives its own code, an `OSError` `disk.full`, `disk.closed` (no permission) or `disk`, any other
    error `internal`. `outlook` is `certain` if the next attempt would fail as well: for an error that says so, and for
    a disk that is full or may not be written.
    """
    if isinstance(error, AegisError):
        return cause_of(error)
    if isinstance(error, OSError):
        text = f"{error.filename}: {error.strerror}" if error.filename and error.strerror else str(error)
        if error.errno in _FULL:
            hint = "free space on that disk, then start the run again"
            return Cause(code="disk.full", message=ended(text), hint=hint, outlook="certain")
        if error.errno in _CLOSED:
            hint = "give yourself write permission there, then start the run again"
            return Cause(code="disk.closed", message=ended(text), hint=hint, outlook="certain")
        return Cause(code="disk", message=ended(text))
    return Cause(
        code="internal", message=ended(f"{type(error).__name__}: {error}"), hint="read logs/hub.log in the state folder"
    )


def given_up_command(effect: Effect, cause: Cause) -> AnyCommand | None:
    """Return the command that records that an effect failed for good; None for the end of a run, which is retried.

    An effect is a step that the state requires from the hub. If it concerns an instance, that is marked: as failed if
    it could not be prepared or started, as exited if it could not be stopped, else as reclaimed. Any other one fails
    the run.
    """
    reason = one_line(cause.message)
    match effect:
        case PrepareInstance() | LaunchInstance():
            what = "worktree and files" if isinstance(effect, PrepareInstance) else "pane"
            words = f"its {what} could not be created: {reason}"
            named_cause = cause.model_copy(update={"message": ended(f"{effect.agent_id}: {words}")})
            return InstanceMarkFailed(agent_id=effect.agent_id, reason=words, cause=named_cause)
        case StopInstance():
            return InstanceMarkExited(agent_id=effect.agent_id, reason=f"it could not be stopped: {reason}")
        case ReclaimInstance():
            return InstanceMarkReclaimed(agent_id=effect.agent_id, removed=False, reason=reason)
        case FinishRun():
            return None
        case RunPieceChecks():
            place = {"run": effect.run, "piece": effect.piece, "head_oid": effect.head_oid, "onto_oid": effect.onto}
            return PieceMarkTested(**place, problem=f"its checks could not run: {reason}")
        case _:
            return RunFail(
                run=effect.run,
                code=cause.code if cause.code.startswith("environment.") else "effect.failed",
                message=f"{_what(effect)}: {reason}",
                hint=cause.hint,
                cause=cause.message,
            )


_OfRun = (
    PrepareRun | InspectPiece | ComposePiece | CheckComposition | RebuildComposition | FindCulprits | RunQa | CommitRun
)


def _what(effect: _OfRun) -> str:
    match effect:
        case PrepareRun():
            return "the run could not be prepared"
        case InspectPiece():
            return f"the submission of {effect.piece} could not be compared with the other pieces"
        case ComposePiece():
            return f"{effect.piece} could not be merged"
        case CheckComposition():
            return "the merged pieces could not be checked"
        case RebuildComposition():
            return "the pieces that are kept could not be merged again"
        case FindCulprits():
            return "the pieces that break QA could not be found"
        case RunQa():
            return "QA could not run"
        case CommitRun():
            return "the result could not be committed"
