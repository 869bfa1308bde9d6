"""Rehearsals: the glob comparisons of a command, done in another thread before the hub's writer decides the command.

A rehearsal compares the globs that the command's rule will compare, on a copy of the state, so that the rule then finds
the results in a cache. It decides only whether the comparisons take more steps than a request may. The rule decides
everything else, on the state that there is then.
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
"""Does the comparisons. Raises only `Refused` (code `glob.effort`), when they take more steps than a request may."""


def rehearsal_of(workspace: Workspace, command: AnyCommand, actor: Actor) -> Rehearsal | None:
    """Return a function that does the glob comparisons of a command, for another thread, before the command is decided.

    It raises only `Refused` (code `glob.effort`), when they take more steps than a request may. None if the command
    compares no globs, or would be refused before that.

    Args:
        workspace: The present state. The function itself uses only copies and immutable values of it.
        command: The command that will be decided.
        actor: Who sends it.
    """
    if not _may(workspace, command, actor):
        return None
    table = workspace.partitions
    match command:
        case AgentRegister(partition=globs) if globs and actor.kind == "person":
            return _partition(workspace, ids.agent_id(command.agent_type, command.instance_id or ""), globs)
        case PartitionSet():
            instance = workspace.instances.find(command.agent_id)
            return _partition(workspace, instance.agent_id, command.globs) if instance else None
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
    """Return whether the rights and the limits, which are checked before globs are compared, allow the command.

    Never raises.
    """
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
