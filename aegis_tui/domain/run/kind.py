"""Which agent kinds a run may start (AGENT-1, AGENT-5)."""

from __future__ import annotations

from aegis_tui.domain.inert import inert
from aegis_tui.domain.run.events import RunFacts
from aegis_tui.errors import Refused, Unavailable, UsageError


def check_startable(kind: str, facts: RunFacts) -> None:
    """Return if instances of a kind can and may be started in a run.

    Args:
        kind: The name of the kind.
        facts: What the preflight of the run found.

    Raises:
        UsageError: There is no such kind.
        Unavailable: It cannot be started on this machine (code `agent.program`).
        Refused: The run's options do not allow it (code `agent.guard`).
    """
    if kind not in facts.kinds:
        raise UsageError(f"there is no agent kind {inert(kind)}", f"one of {', '.join(facts.kinds)}")
    if fault := facts.kind_faults.get(kind):
        raise Unavailable(f"the agent kind {kind} cannot be started: {fault}", code="agent.program")
    if refusal := facts.kind_refusals.get(kind):
        hint = "choose a kind that checks each edit (see aegis-tui doctor), or --sandbox auto"
        raise Refused(f"the agent kind {kind} is refused: {refusal}", hint, code="agent.guard")
