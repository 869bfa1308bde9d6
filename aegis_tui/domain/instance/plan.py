"""The decision to add an instance to a run: its id, kind, branch and task (ROLE-2)."""

from __future__ import annotations

from aegis_tui.domain import ids
from aegis_tui.domain.instance.events import InstancePlanned
from aegis_tui.domain.instance.model import TaskKind
from aegis_tui.domain.lock.model import Draft
from aegis_tui.domain.role import traits_of
from aegis_tui.domain.run.model import Run
from aegis_tui.domain.workspace import Workspace


def plan(
    workspace: Workspace,
    run: Run,
    *,
    role: str,
    kind: str,
    task: TaskKind,
    base_oid: str,
    piece: str | None = None,
    review_id: str | None = None,
    partition: tuple[str, ...] = (),
    replaces: str | None = None,
) -> Draft:
    """Return an event, with a new agent id, that plans one more instance of a run.

    The id is used up only when the event is applied. A kind that cannot take the role is replaced by the built-in
    agent.

    Args:
        workspace: State after the last logged event.
        run: The run.
        role: One of `ROLES`.
        kind: The agent kind, in lower case.
        task: What it will do.
        base_oid: The commit that its worktree starts from.
        piece: The piece that it works on, reviews or scouts, if any.
        review_id: The review that it gives, for a reviewer.
        partition: The globs of the paths that it may write.
        replaces: The agent id of the instance that it takes over from, if any.

    Raises:
        KeyError: There is no such role.
    """
    if kind in run.facts.limited_kinds and traits_of(role).is_judge:
        kind = ids.NATIVE
    short = workspace.instances.allocate(role)
    data = InstancePlanned(
        instance_id=short,
        role=role,
        kind=kind,
        run=run.run,
        task=task,
        piece=piece,
        review_id=review_id,
        base_oid=base_oid,
        branch=ids.branch_of(run.run, short),
        partition=partition,
        replaces=replaces,
    )
    return ids.agent_id(kind, short), data
