"""What `doctor` says about the environment that worktrees of a repository would get (GIT-1)."""

from __future__ import annotations

from collections.abc import Sequence

from aegis_tui.application.check import Check
from aegis_tui.domain.count import counted
from aegis_tui.domain.environment.model import EnvironmentPlan

NAME = "environment"


def environment_checks(
    plan: EnvironmentPlan,
    *,
    is_allowed: bool,
    places: Sequence[str],
    included: Sequence[str],
    missing: Sequence[str],
    suggested: str = "",
) -> list[Check]:
    """Return one check that says what worktrees get, or a failed check for each thing that they would lack.

    If the set-up command is not allowed, the one check returned is that failure.

    Args:
        plan: The set-up command and its key.
        is_allowed: Whether the person allowed it.
        places: The environments of the checkout.
        included: What `.worktreeinclude` names.
        missing: What the project needs and nothing provides, as `problem; fix`.
        suggested: A set-up command that may make it; empty if none is known.
    """
    if plan.setup and not is_allowed:
        observed = f"the set-up command is not allowed for the current lock files: {plan.setup}"
        return [Check(NAME, False, observed, "read it: aegis-tui environment show; then: aegis-tui environment allow")]
    if missing:
        parts = [words.partition("; ") for words in missing]
        more = f", such as: {suggested}" if suggested else ""
        return [Check(NAME, False, problem, fix + more) for problem, _, fix in parts]
    gets = [f"what {plan.setup} makes"] if plan.setup else []
    gets += [*places, *([counted(len(included), "path") + " of .worktreeinclude"] if included else [])]
    return [
        Check(
            NAME,
            True,
            f"worktrees get {', '.join(gets)}"
            if gets
            else "worktrees need no more than the tracked files, as far as is known",
        )
    ]
