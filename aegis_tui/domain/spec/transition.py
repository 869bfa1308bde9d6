"""Which status of a spec may follow which, and who may set it: the published table (SPEC-10)."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final, Literal

from aegis_tui.domain.spec.model import SpecStatus
from aegis_tui.errors import Refused

By = Literal["person", "hub"]

BOTH: Final[frozenset[By]] = frozenset({"person", "hub"})
PERSON: Final[frozenset[By]] = frozenset({"person"})
HUB: Final[frozenset[By]] = frozenset({"hub"})

TRANSITIONS: Final[MappingProxyType[tuple[SpecStatus, SpecStatus], frozenset[By]]] = MappingProxyType(
    {
        ("draft", "review"): BOTH,
        ("draft", "approved"): PERSON,
        ("draft", "cancelled"): PERSON,
        ("review", "draft"): BOTH,
        ("review", "approved"): PERSON,
        ("review", "cancelled"): PERSON,
        ("approved", "draft"): PERSON,
        ("approved", "planning"): HUB,
        ("approved", "failed"): HUB,
        ("approved", "cancelled"): PERSON,
        ("planning", "approved"): HUB,
        ("planning", "in-progress"): HUB,
        ("planning", "failed"): HUB,
        ("planning", "cancelled"): PERSON,
        ("in-progress", "approved"): HUB,
        ("in-progress", "diff-submitted"): HUB,
        ("in-progress", "failed"): HUB,
        ("in-progress", "cancelled"): PERSON,
        ("diff-submitted", "in-progress"): HUB,
        ("diff-submitted", "completed"): HUB,
        ("diff-submitted", "failed"): HUB,
        ("diff-submitted", "cancelled"): PERSON,
        ("failed", "draft"): PERSON,
        ("failed", "approved"): PERSON,
        ("failed", "cancelled"): PERSON,
        ("cancelled", "draft"): PERSON,
    }
)
"""(status, next status) -> who may make that step. A completed spec stays completed; every other step is refused."""


def followers(status: SpecStatus, by: By) -> tuple[SpecStatus, ...]:
    """Return the statuses that the person or the hub may set next; empty if there are none."""
    return tuple(later for (now, later), who in TRANSITIONS.items() if now == status and by in who)


def check_transition(spec_id: str, now: SpecStatus, later: SpecStatus, *, by: By) -> None:
    """Return if that status may follow. A spec that keeps its status passes.

    Raises:
        Refused: It may not (code `spec.transition`); the hint names the statuses that may.
    """
    if now == later or by in TRANSITIONS.get((now, later), ()):
        return
    allowed = followers(now, by)
    hint = "wait until the hub has changed the status"
    if allowed or now == "completed":
        hint = f"{now} can change to: {', '.join(allowed)}" if allowed else "a completed spec does not change any more"
    if (now, later) in TRANSITIONS:
        who = "the hub" if by == "person" else "a person"
        reason = f"only {who} may change the status from {now} to {later}"
        raise Refused(f"{spec_id}: {reason}", hint, code="spec.transition", status=now)
    raise Refused(f"{spec_id}: the status {later} cannot follow {now}", hint, code="spec.transition", status=now)
