"""Comparisons of globs that a command will ask for, done beforehand and elsewhere than in the one writer.

A rehearsal compares what the command's rule will compare, on a copy of the state, so that the rule finds every pair
known. It decides one question only: whether the comparison costs more than a request may. The rule decides the rest, on
the state of its own moment.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from aegis_tui.domain import ids
from aegis_tui.domain.command import AnyCommand
from aegis_tui.domain.decision import Actor
from aegis_tui.domain.effort import Effort
from aegis_tui.domain.instance.commands import AgentRegister
from aegis_tui.domain.limit_rules import check_limits
from aegis_tui.domain.rights import check_right
from aegis_tui.domain.run.commands import DesignAgree, DesignPropose, RunStart
from aegis_tui.domain.run.design import check_design
from aegis_tui.domain.run.rules import parse_design
from aegis_tui.domain.scope.commands import PartitionSet
from aegis_tui.domain.scope.reservation import check_designed, free_overlaps, waiting_globs
from aegis_tui.domain.workspace import Workspace
from aegis_tui.errors import AegisError, Refused

Rehearsal = Callable[[], None]
"""Compares; raises `Refused` with the code `glob.effort` where that costs too much, and nothing else."""


def rehearsal_of(workspace: Workspace, command: AnyCommand, actor: Actor) -> Rehearsal | None:
    """What to do before the command is decided; None for one that compares no globs.

    Args:
        workspace: The state now; nothing of it is used after the return, but for values that never change.
        command: As it will be decided.
        actor: Who sends it.
    """
    if not _may(workspace, command, actor):
        return None
    table = workspace.partitions
    match command:
        case AgentRegister(partition=globs) if globs and actor.kind == "person":
            return _partition(workspace, ids.agent_id(command.agent_type, command.instance_id or ""), globs)
        case PartitionSet():
            found = workspace.instances.find(command.agent_id)
            return _partition(workspace, found.agent_id, command.globs) if found else None
        case RunStart() if command.design is not None and command.facts is not None:
            return _design(command.design, table.partitions, ignore_case=command.facts.ignore_case)
        case DesignPropose() if (run := workspace.runs.current()) is not None:
            return _design(command.design, table.partitions, ignore_case=run.facts.ignore_case)
        case DesignAgree() if (run := workspace.runs.current()) is not None and run.proposed is not None:
            proposed, taken, ignore_case = run.proposed, table.partitions, run.facts.ignore_case
            return _only_effort(lambda: check_designed(taken, proposed, Effort(), ignore_case=ignore_case))
        case _:
            return None


def _may(workspace: Workspace, command: AnyCommand, actor: Actor) -> bool:
    """Whether the writer will come to the comparison: it refuses by right and by limit before."""
    try:
        check_right(workspace, command, actor)
        check_limits(workspace, command, actor)
    except AegisError:
        return False
    return True


def _partition(workspace: Workspace, agent_id: str, globs: Sequence[str]) -> Rehearsal:
    table, waiting = workspace.partitions.copy(), waiting_globs(workspace, agent_id)
    return _only_effort(lambda: free_overlaps(table, waiting, agent_id, globs))


def _design(wanted: dict[str, object], taken: Mapping[str, Sequence[str]], *, ignore_case: bool) -> Rehearsal:
    def compare() -> None:
        design, effort = parse_design(wanted), Effort()
        check_design(design, ignore_case=ignore_case, effort=effort)
        check_designed(taken, design, effort, ignore_case=ignore_case)

    return _only_effort(compare)


def _only_effort(compare: Callable[[], object]) -> Rehearsal:
    def rehearse() -> None:
        try:
            compare()
        except Refused as error:
            if error.code == "glob.effort":
                raise
        except AegisError:
            return

    return rehearse
