"""Stages and gates: conditions that must be met before a stage ends, whatever an agent says (FLOW-1, FLOW-2).

Everything here is a function of the state. A closed gate names the condition and the command that would meet it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from aegis_tui.domain.count import counted
from aegis_tui.domain.instance.model import Phase
from aegis_tui.domain.piece.model import PIECE_WORDS, PieceStatus
from aegis_tui.domain.qa.check import waits_for_person, why
from aegis_tui.domain.run.events import FOUNDATION, STAGES, Stage
from aegis_tui.domain.run.model import RULES_GATE, Run
from aegis_tui.domain.workspace import Workspace

JOINED = frozenset({Phase.JOINED, Phase.STOPPING, Phase.GONE, Phase.RECLAIMED})


class Gate(NamedTuple):
    """One condition of a stage: whether it is met, why or why not, and the command that would meet it."""

    name: str
    passed: bool
    reason: str
    command: str = ""


def gates_of(workspace: Workspace, run: Run) -> list[Gate]:
    """Return the conditions (gates) of the run's present stage, each passed or not as the state is now; at least one.

    Their order is fixed for each stage. A closed one says why and, where one is known, which command would open it.
    """
    return _GATES[run.stage](workspace, run)


def following(stage: Stage) -> Stage | None:
    """Return the stage after this one; None after the last."""
    place = STAGES.index(stage)
    return STAGES[place + 1] if place + 1 < len(STAGES) else None


def ready_features(run: Run) -> list[str]:
    """Return the names of the features whose dependencies are all merged, in the order of the design.

    Features that are merged themselves are among them.
    """
    applied = {name for name, piece in run.pieces.items() if piece.status is PieceStatus.APPLIED}
    return [piece.name for piece in run.features() if applied.issuperset(piece.depends_on)]


def _design(workspace: Workspace, run: Run) -> list[Gate]:
    agreed = run.design is not None
    waiting = "a proposed design waits to be accepted" if run.proposed else "no design yet"
    return [
        Gate(
            "repository_ready",
            run.prepared,
            "the integration branch exists" if run.prepared else "the integration branch is being created",
        ),
        Gate(
            "design_agreed",
            agreed,
            "the design is accepted, and its partitions do not overlap" if agreed else waiting,
            "" if agreed else "aegis-tui run GOAL --design FILE, or accept the proposed design in the dashboard",
        ),
    ]


def _foundation(workspace: Workspace, run: Run) -> list[Gate]:
    piece = run.pieces.get(FOUNDATION)
    if piece is None:
        return [Gate("foundation_built", True, "the design has no foundation")]
    built = piece.status is PieceStatus.APPLIED
    return [
        Gate("foundation_built", built, "merged" if built else f"the foundation is {PIECE_WORDS[piece.status]}"),
        rules_gate(run),
    ]


def rules_gate(run: Run) -> Gate:
    """Return the gate that is closed while pieces wait until the person allows what the merge rules found (FLOW-9).

    It is passed if no piece waits.
    """
    waiting = [(piece.name, item) for piece in run.pieces.values() for item in run.held_findings(piece)]
    if not waiting:
        return Gate(RULES_GATE, True, "no piece waits for a person")
    names = list(dict.fromkeys(name for name, _ in waiting))
    first = waiting[0][1]
    more = f" and {counted(len(waiting) - 1, 'more finding')}" if len(waiting) > 1 else ""
    verb = "waits" if len(names) == 1 else "wait"
    words = f"{first.file}: {first.msg} ({first.rule}){more}"
    reason = f"{', '.join(names)} {verb} until you allow what the rules found: {words}"
    return Gate(RULES_GATE, False, reason[:2000], f"aegis-tui rules allow {first.key}")


def _dispatch(workspace: Workspace, run: Run) -> list[Gate]:
    waiting = [piece for piece in run.features() if not piece.depends_on and not piece.left_out]
    wanted = min(len(waiting), run.options.workers)
    started = sum(
        any(
            workspace.instances.by_id[agent].phase in JOINED
            for agent in piece.agents
            if agent in workspace.instances.by_id
        )
        for piece in run.features()
    )
    return [Gate("workers_started", started >= wanted, f"{started} of the first {wanted} workers have joined")]


def _monitoring(workspace: Workspace, run: Run) -> list[Gate]:
    features = [piece for piece in run.features() if not piece.left_out]
    open_pieces = [
        f"{piece.name} is {PIECE_WORDS[piece.status]}" for piece in features if piece.status is not PieceStatus.APPLIED
    ]
    hot = [item for item in run.conflicts.values() if item.kind == "hot" and item.resolution is None]
    return [
        Gate(
            "workers_finished",
            not open_pieces,
            "; ".join(open_pieces) or f"all {len(features)} pieces are merged",
            "aegis-tui status" if open_pieces else "",
        ),
        Gate(
            "conflicts_resolved",
            not hot,
            "; ".join(f"{item.a} and {item.b} conflict in {item.path}" for item in hot) or "no conflict is open",
            "aegis-tui conflicts" if hot else "",
        ),
        rules_gate(run),
    ]


def _integrate(workspace: Workspace, run: Run) -> list[Gate]:
    review = run.reviews.get(run.composition_review or "")
    checked = review is not None and not run.needs_rebuild
    approved = checked and review is not None and review.status == "APPROVED"
    return [
        Gate(
            "composition_whole",
            checked,
            "the merged tree contains every piece and nothing else" if checked else "the merged tree is being checked",
        ),
        Gate(
            "composition_approved",
            approved,
            "a reviewer approved the merged pieces" if approved else "the merged pieces wait for their review",
            "" if approved else "aegis-tui review",
        ),
    ]


def _final_qa(workspace: Workspace, run: Run) -> list[Gate]:
    passed = run.qa is not None and run.qa.ok
    failing = [check for check in run.qa.checks if not check.ok] if run.qa else []
    reason = "; ".join(f"{check.command}: {why(check)}" for check in failing) or "QA has not run on this tree"
    if passed:
        accepted = any(check.accepted_by for check in run.qa.checks) if run.qa else False
        words = "no new failure" + ("; the base's own failures were accepted" if accepted else "")
        return [Gate("qa_passed", True, words)]
    waits = run.qa is not None and waits_for_person(run.qa.checks)
    return [Gate("qa_passed", False, reason, "aegis-tui qa --accept-base-failures" if waits else "aegis-tui qa")]


def _done(workspace: Workspace, run: Run) -> list[Gate]:
    done = run.commit is not None
    return [Gate("committed", done, "one squash commit on the result branch" if done else "the commit is being made")]


_GATES: dict[Stage, Callable[[Workspace, Run], list[Gate]]] = {
    Stage.DESIGN: _design,
    Stage.FOUNDATION: _foundation,
    Stage.DISPATCH: _dispatch,
    Stage.MONITORING: _monitoring,
    Stage.INTEGRATE: _integrate,
    Stage.FINAL_QA: _final_qa,
    Stage.DONE: _done,
}
