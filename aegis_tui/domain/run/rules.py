"""Rules for the commands of runs: start, design, check of the merged tree, commit, end (FLOW-1 to FLOW-8)."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any, Final

from pydantic import ValidationError

from aegis_tui.domain.count import counted
from aegis_tui.domain.decision import Actor, Decision
from aegis_tui.domain.effort import Effort
from aegis_tui.domain.environment.events import EnvironmentPrepared
from aegis_tui.domain.ids import HUB, NATIVE
from aegis_tui.domain.instance.events import InstanceStopping
from aegis_tui.domain.instance.rules import own_instance, spec_path
from aegis_tui.domain.lock.model import Draft
from aegis_tui.domain.piece.feedback import reopen
from aegis_tui.domain.registry import Rules
from aegis_tui.domain.review.events import ReviewRequested
from aegis_tui.domain.review.finding import Finding
from aegis_tui.domain.run import brief, events
from aegis_tui.domain.run.commands import (
    CompositionMarkChecked,
    DesignAgree,
    DesignPropose,
    GateNote,
    RunCancel,
    RunFail,
    RunHalt,
    RunMarkCommitted,
    RunMarkFinished,
    RunMarkPrepared,
    RunResume,
    RunStart,
)
from aegis_tui.domain.run.design import Design, check_design
from aegis_tui.domain.run.events import COMPOSITION, FOUNDATION, Stage
from aegis_tui.domain.run.failure import fail, partial_error
from aegis_tui.domain.run.kind import check_startable
from aegis_tui.domain.run.model import Run, RunStatus
from aegis_tui.domain.scope.reservation import check_agreeable, standing_table
from aegis_tui.domain.scope.submodule import submodule_issues
from aegis_tui.domain.spec.events import SpecCreated
from aegis_tui.domain.spec.observe import claimed, claimed_together
from aegis_tui.domain.wire.reply import DesignReply, RunReply
from aegis_tui.domain.workspace import Workspace
from aegis_tui.errors import DesignRefused, Refused, UsageError


def parse_design(fields: dict[str, Any]) -> Design:
    """Return a design made of these fields; only its form is checked.

    Raises:
        DesignRefused: Fields are missing, unknown or invalid; `data['issues']` names each.
    """
    try:
        return Design.model_validate(fields)
    except ValidationError as error:
        issues = [
            {"field": ".".join(str(part) for part in item["loc"]), "message": item["msg"]}
            for item in error.errors(include_url=False, include_input=False, include_context=False)
        ]
        lines = "; ".join(f"{item['field']}: {item['message']}" for item in issues)
        raise DesignRefused(
            f"the design cannot be read: {lines}", "correct each field named and try again", issues=issues
        ) from error


def _with_kind(design: Design, kind: str) -> Design:
    """Return the design with this agent kind for each feature that names none."""
    features = (
        item if "kind" in item.model_fields_set else item.model_copy(update={"kind": kind}) for item in design.features
    )
    return design.model_copy(update={"features": tuple(features)})


def checked_design(
    fields: dict[str, Any], facts: events.RunFacts, effort: Effort, *, unchecked: bool = False, kind: str = NATIVE
) -> Design:
    """Parse a design and check whether a run in this repository may use it; return it.

    Args:
        fields: The design as it was sent.
        facts: The facts about the repository.
        effort: The steps left to the whole request.
        unchecked: Accept a design for which no QA command is known.
        kind: The agent kind of features that name none.

    Raises:
        DesignRefused: Its form is not valid, no QA command is known, or it breaks rules; `data['issues']` gives field
            and message of each, and a witness for overlaps.
    """
    design = _with_kind(parse_design(fields), kind)
    if design.qa is None and not facts.qa_commands and not unchecked:
        suggested = "".join(f"; --check '{command}'" for command in facts.qa_suggested)
        raise DesignRefused(
            "no QA command is known for this repository",
            "name one: --check COMMAND, or qa: {commands: [...]} in the design; --unchecked runs no checks"
            + (f". Perhaps{suggested[1:]}" if suggested else ""),
            issues=[{"field": "qa.commands", "message": "missing, and none was detected"}],
            suggestions=list(facts.qa_suggested),
        )
    issues = check_design(
        design,
        kinds=facts.kinds,
        kind_faults={**facts.kind_refusals, **facts.kind_faults},
        ignore_case=facts.ignore_case,
        effort=effort,
    )
    issues = issues or submodule_issues(design, facts.submodules, ignore_case=facts.ignore_case)
    if issues:
        lines = "; ".join(f"{item.field}: {item.message}" for item in issues)
        plain = [item.model_dump(mode="json") for item in issues]
        raise DesignRefused(
            f"the design breaks a rule: {lines}", "correct each field named and try again", issues=plain
        )
    return design


def start(workspace: Workspace, command: RunStart, actor: Actor, request_id: str) -> Decision:
    """Start a run; with a design in the command, agree to it too. The hub's preflight has filled in `run` and `facts`.

    The reply names the run. Only one run may be open at a time.

    Raises:
        Refused: The preflight's facts are missing, another run is open, globs cost too much to compare, or the options
            do not allow the agent kind (code `agent.guard`).
        UsageError: The goal is empty, or there is no such agent kind.
        Unavailable: The agent kind cannot be started on this machine (code `agent.program`).
        DesignRefused: The design breaks rules, or an instance at work owns a path of it.
        Conflict: The spec that the run is for is not ready, or was claimed before.
    """
    if command.run is None or command.facts is None:
        raise Refused("the hub has not inspected the repository", "send run:start to a running hub", code="run.facts")
    if (active := workspace.runs.current()) is not None:
        raise Refused(
            f"run {active.run} has not ended",
            f"wait for it or end it: aegis-tui cancel {active.run}",
            code="run.active",
        )
    if not command.goal.strip():
        raise UsageError("the goal is empty", "say what should be built")
    check_startable(command.options.kind, command.facts)
    design = None
    if command.design is not None:
        effort = Effort()
        options = command.options
        design = checked_design(command.design, command.facts, effort, unchecked=options.unchecked, kind=options.kind)
        check_agreeable(workspace, design, effort, ignore_case=command.facts.ignore_case)
    started = events.RunStarted(run=command.run, goal=command.goal, options=command.options, facts=command.facts)
    drafts: list[Draft] = [
        *(claimed(workspace, command.spec, command.run) if command.spec is not None else ()),
        *claimed_together(workspace, command.specs, command.run),
        (actor.agent_id, started),
        (HUB, events.StageChanged(run=command.run, stage=Stage.DESIGN, round=0)),
    ]
    if design is not None:
        drafts += _agree(workspace, command.run, design, actor, proposed=True)
    return Decision(drafts, RunReply(run=command.run))


def _agree(workspace: Workspace, run: str, design: Design, actor: Actor, *, proposed: bool) -> list[Draft]:
    design_id = f"{run}-d{workspace.seq + 1}"
    drafts: list[Draft] = []
    if proposed:
        drafts.append((actor.agent_id, events.DesignProposed(run=run, design_id=design_id, design=design)))
    drafts.append((actor.agent_id, events.DesignAgreed(run=run, design_id=design_id, design=design)))
    if design.foundation:
        drafts.append((HUB, _spec(run, FOUNDATION, "foundation", ())))
    for feature in design.features:
        needs = tuple(f"{run}-{name}" for name in feature.depends_on)
        drafts.append((HUB, _spec(run, feature.id, feature.title, needs)))
    return drafts


def _spec(run: str, piece: str, title: str, dependencies: tuple[str, ...]) -> SpecCreated:
    spec_id = f"{run}-{piece}"
    return SpecCreated(
        specId=spec_id, path=spec_path(spec_id), title=title, run=run, piece=piece, dependencies=dependencies
    )


def propose(workspace: Workspace, command: DesignPropose, actor: Actor, request_id: str) -> Decision:
    """Propose a design for the current run; if the run has the option `yes`, it is agreed at once.

    An instance that proposes is stopped, as its task is done. The reply says whether the design is agreed.

    Raises:
        Refused: No run waits for a design, the sender is an instance with another task, or globs cost too much to
            compare.
        DesignRefused: The design breaks rules, or an instance at work owns a path of it.
    """
    run = workspace.runs.current()
    if run is None or run.stage is not Stage.DESIGN or run.design is not None:
        raise Refused("no run is waiting for a design", "start one: aegis-tui run GOAL", code="design.closed")
    if actor.kind == "instance" and own_instance(workspace, actor).task != "design":
        raise Refused("only the Commander may propose a design", code="design.role")
    effort = Effort()
    design = checked_design(command.design, run.facts, effort, unchecked=run.options.unchecked, kind=run.options.kind)
    check_agreeable(workspace, design, effort, ignore_case=run.facts.ignore_case)
    drafts: list[Draft]
    if run.options.yes:
        drafts = _agree(workspace, run.run, design, actor, proposed=True)
    else:
        design_id = f"{run.run}-d{workspace.seq + 1}"
        drafts = [(actor.agent_id, events.DesignProposed(run=run.run, design_id=design_id, design=design))]
    if actor.kind == "instance":
        drafts.append((actor.agent_id, InstanceStopping(reason="design proposed")))
    return Decision(drafts, DesignReply(agreed=run.options.yes))


def agree(workspace: Workspace, command: DesignAgree, actor: Actor, request_id: str) -> Decision:
    """Agree to the proposed design. That the sender is the person was checked before (`rights`).

    Raises:
        UsageError: There is no proposed design with this id.
        Refused: A design was already accepted, or globs cost too much to compare.
        DesignRefused: An instance at work owns a path of the design.
    """
    run = workspace.runs.current()
    if run is None or run.proposed is None or run.design_id != command.design_id:
        raise UsageError(f"there is no proposed design {command.design_id}", "see aegis-tui status")
    if run.design is not None:
        raise Refused("a design was already accepted for this run", code="design.closed")
    check_agreeable(workspace, run.proposed, Effort(), ignore_case=run.facts.ignore_case)
    return Decision(_agree(workspace, run.run, run.proposed, actor, proposed=False), RunReply(run=run.run))


def find_open_run(workspace: Workspace, name: str | None) -> Run:
    """Return the open run with that id, or the current one for None.

    Raises:
        UsageError: There is no such run, or none is active.
        Refused: It has ended.
    """
    run = workspace.runs.by_id.get(name) if name else workspace.runs.current()
    if run is None and name in workspace.runs.past:
        raise Refused(f"run {name} has ended", code="run.ended")
    if run is None:
        raise UsageError(f"there is no run {name}" if name else "no run is active", "see aegis-tui status")
    if not run.is_open:
        raise Refused(f"run {run.run} has ended", code="run.ended")
    return run


def halt(workspace: Workspace, command: RunHalt, actor: Actor, request_id: str) -> Decision:
    """Halt a run, so that no new work starts; no events for one that is halted already.

    Raises:
        UsageError: There is no such run.
        Refused: The run has ended.
    """
    run = find_open_run(workspace, command.run)
    if run.status is RunStatus.HALTED:
        return Decision([], RunReply(run=run.run))
    return Decision([(actor.agent_id, events.RunHalted(run=run.run, reason=command.reason))], RunReply(run=run.run))


def resume(workspace: Workspace, command: RunResume, actor: Actor, request_id: str) -> Decision:
    """Resume a halted run; no events for any other open run.

    Raises:
        UsageError: There is no such run.
        Refused: The run has ended.
    """
    run = find_open_run(workspace, command.run)
    if run.status is not RunStatus.HALTED:
        return Decision([], RunReply(run=run.run))
    return Decision([(actor.agent_id, events.RunResumed(run=run.run))], RunReply(run=run.run))


def cancel(workspace: Workspace, command: RunCancel, actor: Actor, request_id: str) -> Decision:
    """End a run at once; the work so far is kept.

    Raises:
        UsageError: There is no such run.
        Refused: The run has ended.
    """
    run = find_open_run(workspace, command.run)
    words = "cancelled" if command.reason == "cancelled" else f"cancelled: {command.reason}"
    return Decision(fail(run, "cancelled", words), RunReply(run=run.run))


def run_fail(workspace: Workspace, command: RunFail, actor: Actor, request_id: str) -> Decision:
    """End a run because one of its effects failed and no retry would help; no events if it is not open."""
    run = workspace.runs.by_id.get(command.run)
    if run is None or not run.is_open:
        return Decision()
    return Decision(fail(run, command.code, command.message, command.hint, cause=command.cause))


def mark_prepared(workspace: Workspace, command: RunMarkPrepared, actor: Actor, request_id: str) -> Decision:
    """Record that the branch for merged pieces exists, and the environment that was made for the worktrees, if any.

    No events if that is known already or there is no such run.
    """
    run = workspace.runs.by_id.get(command.run)
    if run is None or run.prepared:
        return Decision()
    made = command.environment
    prepared: list[Draft] = [(HUB, EnvironmentPrepared(run=run.run, environment=made))] if made else []
    return Decision([*prepared, (HUB, events.RunPrepared(run=run.run))])


def composition_checked(
    workspace: Workspace, command: CompositionMarkChecked, actor: Actor, request_id: str
) -> Decision:
    """Request the review of the merged tree if it holds every piece and nothing else; otherwise reopen pieces.

    If that would be one round too many, the run fails. No events if the run does not wait for the check of this commit.
    """
    run = workspace.runs.by_id.get(command.run)
    if run is None or not run.is_open or run.stage is not Stage.INTEGRATE or run.composition_review:
        return Decision()
    if command.oid != run.working_oid or run.needs_rebuild:
        return Decision()
    findings = [*command.findings, *_outside(run, command.files)]
    if findings:
        table = standing_table(workspace, run)
        owners = {table.owner_of(item.file) for item in findings if item.file}
        blamed = [name for name in run.pieces if name in owners and name != FOUNDATION]
        reason = brief.findings_text(findings)
        text = brief.rejected_brief("The merged result of all pieces", findings, by="the hub")
        return Decision(reopen(workspace, run, blamed, gate="composition_whole", reason=reason, texts=text))
    requested = ReviewRequested(
        run=run.run,
        review_id=f"{run.run}-v{workspace.seq + 1}",
        piece=COMPOSITION,
        base_oid=run.facts.base_oid,
        head_oid=command.oid,
        files=command.files,
        description=f"{counted(len(run.kept_pieces()), 'piece')}, {counted(len(command.files), 'file')}",
    )
    return Decision([(HUB, requested)])


def _outside(run: Run, files: tuple[str, ...]) -> list[Finding]:
    """Return a finding for each changed path that is in no checked submission, so came in by another way (PART-3)."""
    handed_in = {path for piece in run.kept_pieces() for path in piece.files}
    return [
        Finding(type="partition", file=path, msg="changed, but not by any submitted piece")
        for path in files
        if path not in handed_in
    ]


def committed(workspace: Workspace, command: RunMarkCommitted, actor: Actor, request_id: str) -> Decision:
    """Record the squash commit and end the run; the run fails if the commit's tree is not the tree that QA tested.

    It fails too if QA has tested none. A run that left pieces out has a commit too, but does not count as successful.
    No events if the run does not wait for its commit.
    """
    run = workspace.runs.by_id.get(command.run)
    if run is None or not run.is_open or run.stage is not Stage.DONE or run.commit is not None:
        return Decision()
    if run.qa is None or run.qa.tree != command.tree:
        return Decision(fail(run, "commit.tree", "the commit's tree is not the tree that QA tested"))
    data = events.RunCommitted(**command.model_dump(exclude={"type"}))
    left = partial_error(run, command.branch)
    return Decision([(HUB, data), (HUB, events.RunEnding(run=run.run, ok=left is None, error=left))])


def finished(workspace: Workspace, command: RunMarkFinished, actor: Actor, request_id: str) -> Decision:
    """Record the end of a run and the report that the hub sends after cleaning up.

    For a run that is unknown or not ending, the decision has no events.
    """
    run = workspace.runs.by_id.get(command.run)
    if run is None or run.status is not RunStatus.ENDING:
        return Decision()
    return Decision([(HUB, events.RunFinished(run=run.run, ok=bool(run.ok), report=command.report))])


def gate_note(workspace: Workspace, command: GateNote, actor: Actor, request_id: str) -> Decision:
    """Record that a gate, checked outside the core, did not open; nothing is checked here."""
    data = events.GateBlocked(
        run=command.run, stage=command.stage, gate=command.gate, reason=command.reason, command=command.command
    )
    return Decision([(HUB, data)])


RULES: Final[Rules] = MappingProxyType(
    {
        RunStart: start,
        RunHalt: halt,
        RunResume: resume,
        RunCancel: cancel,
        DesignPropose: propose,
        DesignAgree: agree,
        RunMarkPrepared: mark_prepared,
        CompositionMarkChecked: composition_checked,
        RunMarkCommitted: committed,
        RunFail: run_fail,
        RunMarkFinished: finished,
        GateNote: gate_note,
    }
)
