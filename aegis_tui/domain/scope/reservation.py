"""Which globs are taken: those of living instances, and those of pieces that wait for an instance (PART-1, PART-5).

A piece keeps its partition while nobody works on it: that of the design, or that of its last worker. No other instance
gets those globs, so a worker that is dispatched later never meets another owner.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from aegis_tui.domain.effort import Effort
from aegis_tui.domain.piece.model import Piece, PieceStatus
from aegis_tui.domain.run.design import Design
from aegis_tui.domain.run.events import FOUNDATION
from aegis_tui.domain.run.model import Run
from aegis_tui.domain.scope.closed import check_new_globs
from aegis_tui.domain.scope.partition import JOINT_OWNER, SHARED_OWNER, Overlap, PartitionTable, find_clashes
from aegis_tui.domain.workspace import Workspace
from aegis_tui.errors import DesignRefused, Refused

MOST_NAMED = 200
"""How many overlaps a refusal lists at most."""


def globs_of(workspace: Workspace, run: Run, piece: Piece) -> tuple[str, ...]:
    """Return the partition for the next worker of a piece: that of its last worker, or else that of the design.

    Empty when there is neither. A last worker that the state no longer holds does not count.
    """
    last = workspace.get_instance(piece.agents[-1]) if piece.agents else None
    if last is not None:
        return last.partition
    return designed_globs(run.design).get(piece.name, ()) if run.design else ()


def designed_globs(design: Design) -> dict[str, tuple[str, ...]]:
    """Return the globs of each piece of a design by its name, that of the foundation included."""
    partitions = {feature.id: tuple(feature.partition) for feature in design.features}
    if design.foundation:
        partitions[FOUNDATION] = tuple(design.foundation.partition)
    return partitions


def standing_table(workspace: Workspace, run: Run) -> PartitionTable:
    """Build a table of the current partitions of a run by piece name, whether or not an instance works on the piece.

    It has the shared and joint lists of the design too.
    """
    table = PartitionTable(ignore_case=run.facts.ignore_case)
    for piece in run.pieces.values():
        table.set(piece.name, globs_of(workspace, run, piece))
    if run.design is not None:
        table.set_scope(shared=run.design.shared, joint=run.design.joint)
    return table


def as_partitioned(run: Run, name: str, globs: Sequence[str]) -> Run:
    """Return a copy of the run with these globs as the partition of one piece in its design, for the texts of prompts.

    A run without a design, or in which the piece has these globs, is returned itself.
    """
    design = run.design
    if design is None or tuple(designed_globs(design).get(name, ())) == tuple(globs):
        return run
    if name == FOUNDATION and design.foundation:
        change: dict[str, object] = {"foundation": design.foundation.model_copy(update={"partition": tuple(globs)})}
    else:
        change = {
            "features": tuple(
                item.model_copy(update={"partition": tuple(globs)}) if item.id == name else item
                for item in design.features
            )
        }
    return run.model_copy(update={"design": design.model_copy(update=change)})


def _waiting(workspace: Workspace, agent_id: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the pieces of the open run that have no living worker, with the globs that their next worker gets.

    Left out are a merged foundation and a piece whose last worker is this instance. None if no run is open.
    """
    run = workspace.runs.current()
    if run is None or not run.is_open:
        return
    for piece in run.pieces.values():
        if piece.name == FOUNDATION and piece.status is PieceStatus.APPLIED:
            continue
        worker = workspace.get_instance(piece.agents[-1]) if piece.agents else None
        if worker is None or not (worker.is_alive or worker.agent_id == agent_id):
            yield piece.name, globs_of(workspace, run, piece)


def taken_overlaps(workspace: Workspace, agent_id: str, globs: Sequence[str]) -> list[Overlap]:
    """Return the overlaps of globs with other instances, with pieces that wait, and with shared and joint lists.

    In each, `a` is one of these globs. Empty if an instance may have them.

    Args:
        workspace: State after the last logged event.
        agent_id: The instance that would get the globs; what it has now is not compared.
        globs: The globs.

    Raises:
        Refused: code `glob`, when a text is not a glob; code `glob.effort`, when it would cost too much.
    """
    return free_overlaps(workspace.partitions, waiting_globs(workspace, agent_id), agent_id, globs)


def waiting_globs(workspace: Workspace, agent_id: str) -> dict[str, tuple[str, ...]]:
    """Return the globs of the pieces of the open run that wait for a worker, by the name of the piece.

    A piece that this instance had last is left out.
    """
    return dict(_waiting(workspace, agent_id))


def free_overlaps(
    table: PartitionTable, waiting: Mapping[str, Sequence[str]], agent_id: str, globs: Sequence[str]
) -> list[Overlap]:
    """Return the overlaps of globs with other instances, with pieces that wait, and with shared and joint lists.

    Args:
        table: The partitions of the living instances.
        waiting: The result of `waiting_globs`.
        agent_id: The instance that would get the globs; what it has now is not compared.
        globs: The globs.

    Raises:
        Refused: code `glob`, when a text is not a glob; code `glob.effort`, when it would cost too much.
    """
    effort = Effort()
    overlaps = table.overlaps_with(agent_id, globs, effort=effort)
    mine = [(agent_id, globs)]
    return overlaps + find_clashes(mine, list(waiting.items()), effort, ignore_case=table.ignore_case)


def check_free(workspace: Workspace, agent_id: str, globs: Sequence[str]) -> None:
    """Return if an instance may have these globs; what it has now is not compared.

    Raises:
        Refused: code `partition.overlap`, with the overlaps; code `glob`, when a text is not a glob; code
            `glob.effort`, when it would cost too much.
        PartitionRefused: A glob names git's own paths or specs.
    """
    check_new_globs(globs)
    if overlaps := taken_overlaps(workspace, agent_id, globs):
        first = overlaps[0]
        raise Refused(
            f"{first.a} and {first.b} of {first.owners[1]} both match {first.witness}",
            "choose globs that nobody owns",
            code="partition.overlap",
            overlaps=[item.model_dump(mode="json") for item in overlaps[:MOST_NAMED]],
        )


def dispatch_overlap(workspace: Workspace, name: str, globs: Sequence[str]) -> Overlap | None:
    """Return the first overlap of a worker that is about to start with a living instance; None when there is none.

    Shared and joint lists are not compared.

    Args:
        workspace: State after the last logged event.
        name: The name of its piece.
        globs: Its partition.

    Raises:
        Refused: code `glob`, when a text is not a glob; code `glob.effort`, when it would cost too much.
    """
    lists = (SHARED_OWNER, JOINT_OWNER)
    met = workspace.partitions.overlaps_with(name, globs)
    return next((item for item in met if item.owners[1] not in lists), None)


def check_agreeable(workspace: Workspace, design: Design, effort: Effort, *, ignore_case: bool) -> None:
    """Return if no living instance owns a path that the design gives to a piece, or lists as shared or joint.

    Args:
        workspace: State after the last logged event.
        design: A design of valid form.
        effort: What the whole request may still cost.
        ignore_case: Compare paths case-folded.

    Raises:
        DesignRefused: An instance owns one; `issues` names each with an example path.
        Refused: code `glob`, when a text is not a glob; code `glob.effort`, when it would cost too much.
    """
    check_designed(workspace.partitions.partitions, design, effort, ignore_case=ignore_case)


def check_designed(
    partitions: Mapping[str, Sequence[str]], design: Design, effort: Effort, *, ignore_case: bool
) -> None:
    """Return if no living instance owns a path that the design gives to a piece, or lists as shared or joint.

    Args:
        partitions: The globs of the living instances by agent id.
        design: A design of valid form.
        effort: What the whole request may still cost.
        ignore_case: Compare paths case-folded.

    Raises:
        DesignRefused: An instance owns one; `issues` names each with an example path.
        Refused: code `glob`, when a text is not a glob; code `glob.effort`, when it would cost too much.
    """
    wanted = [*designed_globs(design).items(), (SHARED_OWNER, design.shared), (JOINT_OWNER, design.joint)]
    clashes = find_clashes(wanted, list(partitions.items()), effort, ignore_case=ignore_case)
    if clashes:
        issues = [{"field": item.owners[0], "message": _clash_text(item), "witness": item.witness} for item in clashes]
        hint = "change the design or the partition of the instance, or stop the instance"
        raise DesignRefused("; ".join(map(_clash_text, clashes)), hint, issues=issues)


def _clash_text(clash: Overlap) -> str:
    name, agent_id = clash.owners
    return f"'{clash.a}' of {name} overlaps '{clash.b}' of {agent_id}, which is running; example path: {clash.witness}"
