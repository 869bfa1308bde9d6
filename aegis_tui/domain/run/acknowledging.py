"""The rule by which a person says that they know how a run ended (WISH-8)."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from aegis_tui.domain.decision import Actor, Decision
from aegis_tui.domain.lock.model import Draft
from aegis_tui.domain.registry import Rules
from aegis_tui.domain.run.commands import RunAcknowledge
from aegis_tui.domain.run.events import RunAcknowledged
from aegis_tui.domain.run.model import RunStatus
from aegis_tui.domain.spec.events import SpecUpdated
from aegis_tui.domain.wire.reply import RunReply
from aegis_tui.domain.workspace import Workspace
from aegis_tui.errors import Refused, UsageError


def acknowledge(workspace: Workspace, command: RunAcknowledge, actor: Actor, request_id: str) -> Decision:
    """Record that the person knows how a run and its specs ended; no events if none of them waits for that.

    Raises:
        UsageError: There is no such run.
        Refused: It has not ended.
    """
    run = workspace.runs.by_id.get(command.run)
    if run is None and command.run not in workspace.runs.past:
        raise UsageError(f"there is no run {command.run}", "list them: aegis-tui runs")
    if run is not None and run.status is not RunStatus.COMPLETED:
        raise Refused(f"run {run.run} has not ended", "see aegis-tui status", code="run.open")
    is_news = run is not None and run.waits_to_be_seen
    drafts: list[Draft] = [(actor.agent_id, RunAcknowledged(run=command.run))] if is_news else []
    for spec in workspace.specs.unseen(command.run):
        data = SpecUpdated(specId=spec.spec_id, path=spec.path, status=spec.status, is_seen=True)
        drafts.append((actor.agent_id, data))
    return Decision(drafts, RunReply(run=command.run))


RULES: Final[Rules] = MappingProxyType({RunAcknowledge: acknowledge})
