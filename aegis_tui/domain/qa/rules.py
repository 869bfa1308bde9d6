"""Rules for QA: what a result leads to, and what a person may accept (FLOW-2, FLOW-7)."""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType
from typing import Final

from aegis_tui.domain.decision import Actor, Decision
from aegis_tui.domain.ids import HUB, PERSON
from aegis_tui.domain.lock.model import Draft
from aegis_tui.domain.piece.feedback import reopen
from aegis_tui.domain.qa import commands
from aegis_tui.domain.qa.check import QaCheck, accept, waits_for_person, why
from aegis_tui.domain.qa.events import QaAccepted, QaBaseChecked, QaFinished
from aegis_tui.domain.registry import Rules
from aegis_tui.domain.run import brief, events
from aegis_tui.domain.run.events import Stage
from aegis_tui.domain.run.failure import fail
from aegis_tui.domain.run.model import Run
from aegis_tui.domain.wire.reply import RunReply
from aegis_tui.domain.workspace import Workspace
from aegis_tui.errors import Refused, UsageError

GATE = "qa_passed"
ACCEPT_COMMAND = "aegis-tui qa --accept-base-failures"
NOTHING_TO_ACCEPT = "to accept them when a run starts: aegis-tui run GOAL --accept-base-failures"


def qa_finished(workspace: Workspace, command: commands.QaMarkFinished, actor: Actor, request_id: str) -> Decision:
    """Record QA of the merged tree: open the gate, wait for a person, send pieces back to workers, or end the run.

    The gate opens only if there is a check and all are `ok`; failures of the base that were accepted are. No events if
    the run does not wait for QA of this commit in this round.
    """
    run = workspace.runs.by_id.get(command.run)
    if run is None or not run.is_open or run.stage is not Stage.FINAL_QA or run.qa is not None:
        return Decision()
    if command.round != run.round or command.oid != run.working_oid:
        return Decision()
    by = accepted_by(run)
    checks = tuple(accept(check, by) for check in command.checks) if by else command.checks
    ok = bool(checks) and all(check.ok for check in checks)
    fields = {**command.model_dump(exclude={"type", "checks"}), "checks": checks, "ok": ok}
    drafts: list[Draft] = [(HUB, QaFinished(**fields))]
    return Decision(drafts if ok else [*drafts, *_shut(workspace, run, checks, command.blamed)])


def base_checked(workspace: Workspace, command: commands.QaMarkBaseChecked, actor: Actor, request_id: str) -> Decision:
    """Record QA of the base, run before FINAL-QA, if it would close the gate, so that a person can act in time.

    One that would no longer close it is recorded too, if the last record says that it would. No events if nothing has
    changed, or if the run is not open or has its QA.
    """
    run = workspace.runs.by_id.get(command.run)
    if run is None or not run.is_open or run.qa is not None:
        return Decision()
    by = accepted_by(run)
    checks = tuple(accept(check, by) for check in command.checks) if by else command.checks
    ok = all(check.ok for check in checks)
    known = run.base_qa.checks if run.base_qa else ()
    if _gist(checks) == _gist(known) or (ok and not known):
        return Decision()
    can_accept = any(check.is_acceptable for check in checks)
    data = QaBaseChecked(
        run=run.run,
        oid=command.oid,
        ok=ok,
        checks=checks,
        reason=_reason(checks)[:2000],
        command=(ACCEPT_COMMAND if can_accept else _hint(checks))[:500],
    )
    return Decision([(HUB, data)])


def accepted_by(run: Run) -> str | None:
    """Return the agent id of who accepted the base's failures, at the start of the run or later; None if nobody did."""
    return run.qa_accepted_by or (PERSON if run.options.accept_base_failures else None)


def _gist(checks: Sequence[QaCheck]) -> list[tuple[str, bool, str]]:
    return [(check.command, check.ok, why(check)) for check in checks if not check.ok]


def _reason(checks: Sequence[QaCheck]) -> str:
    return "; ".join(f"{check.command}: {why(check)}" for check in checks if not check.ok)


def _hint(checks: Sequence[QaCheck]) -> str:
    return "; ".join(dict.fromkeys(check.remedy for check in checks if not check.ok and check.remedy))


def _shut(workspace: Workspace, run: Run, checks: Sequence[QaCheck], blamed: Sequence[str]) -> list[Draft]:
    """Return the events that follow from QA that closes the gate: wait for a person, end the run, or send pieces back.

    It waits if only an acceptance is missing and a person attends the run. It ends if a check could not run on the base
    either, or nobody attends and the base fails in the same way.

    Args:
        workspace: State after the last logged event.
        run: The run.
        checks: All checks.
        blamed: Names of the pieces that the failures are about; empty if not known, then all features go back.
    """
    failing = [check for check in checks if not check.ok]
    reason, hint = _reason(checks) or "there is no QA command", _hint(checks)
    if run.options.attended and waits_for_person(checks):
        return [(HUB, blocked(run, reason, ACCEPT_COMMAND))]
    if any(_fails_without_change(check) for check in failing):
        return _end(run, f"QA could run neither on the result nor on the base: {reason}", reason, hint)
    if not run.options.attended and any(_stays_shut(check) for check in failing):
        return _end(run, f"QA cannot compare the result with the base, which fails too: {reason}", reason, hint)
    texts = {name: brief.qa_brief(run, name, checks) for name in run.pieces}
    concerned = [name for name in blamed if name in run.pieces]
    return reopen(workspace, run, concerned, gate=GATE, reason=reason, texts=texts, hint=hint)


def _fails_without_change(check: QaCheck) -> bool:
    """Return whether the check could not run on the base either; no worker can repair that."""
    idle = ("not_run", "empty")
    return check.status in idle and not check.is_acceptable and check.base is not None and check.base.status in idle


def _stays_shut(check: QaCheck) -> bool:
    """Return whether the check fails as on the base and cannot be compared, so that only a person can open the gate.

    If it ran on this tree but not on the base, workers can repair its failures, so the answer is no.
    """
    stands = check.base is not None and (check.base.status == "failed" or check.status == "not_run")
    return check.is_acceptable and stands


def _end(run: Run, message: str, reason: str, hint: str) -> list[Draft]:
    return [(HUB, blocked(run, reason, hint)), *fail(run, GATE, message[:2000], hint, cause=reason[:2000])]


def blocked(run: Run, reason: str, command: str) -> events.GateBlocked:
    """Return the event of a QA gate that stays closed.

    Args:
        run: The run.
        reason: Which checks close it, and why.
        command: The command that a person can give, or what else would help.
    """
    return events.GateBlocked(run=run.run, stage=run.stage, gate=GATE, reason=reason[:2000], command=command[:500])


def accept_base(workspace: Workspace, command: commands.QaAccept, actor: Actor, request_id: str) -> Decision:
    """Accept the failures of the base; if QA waits for that, its gate opens. The reply names the run.

    That the sender is the person was checked before (`rights`). No events if they are accepted already and QA does not
    wait.

    Raises:
        UsageError: There is no such run, or none is named and none is active.
        Refused: The run has ended, the base has no failure that can be accepted, or QA fails for another reason too.
    """
    run = workspace.runs.by_id.get(command.run) if command.run else workspace.runs.current()
    if run is None:
        hint = "see aegis-tui runs" if command.run else NOTHING_TO_ACCEPT
        raise UsageError(f"there is no run {command.run}" if command.run else "no run is active", hint)
    if not run.is_open:
        raise Refused(f"run {run.run} has ended", "start it again with --accept-base-failures", code="run.ended")
    accepted: Draft = (actor.agent_id, QaAccepted(run=run.run, by=actor.agent_id))
    if run.qa is None and run.base_qa and not any(check.is_acceptable for check in run.base_qa.checks):
        raise Refused(
            f"no failure of the base can be accepted: {run.base_qa.reason}",
            run.base_qa.command or "aegis-tui qa",
            code="qa.not-acceptable",
        )
    if run.qa is None or run.qa.ok:
        return Decision([] if run.qa_accepted_by else [accepted], RunReply(run=run.run))
    if others := [check.command for check in run.qa.checks if not check.ok and not check.is_acceptable]:
        raise Refused(f"other checks close the gate too: {'; '.join(others)}", "aegis-tui qa", code="qa.not-acceptable")
    checks = tuple(accept(check, actor.agent_id) for check in run.qa.checks)
    return Decision([accepted, (HUB, run.qa.model_copy(update={"checks": checks, "ok": True}))], RunReply(run=run.run))


RULES: Final[Rules] = MappingProxyType(
    {
        commands.QaAccept: accept_base,
        commands.QaMarkBaseChecked: base_checked,
        commands.QaMarkFinished: qa_finished,
    }
)
