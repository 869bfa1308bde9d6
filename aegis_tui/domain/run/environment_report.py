"""What the worktrees of a run had besides the tracked files, as its report has it (GIT-1)."""

from __future__ import annotations

from aegis_tui.domain.run.model import Run
from aegis_tui.domain.run.report_model import EnvironmentReport


def environment_report(run: Run) -> EnvironmentReport:
    """Return the environment of a run's worktrees as a JSON object, as far as it is known yet.

    Its `state` is `prepared` if the set-up command made it, `linked` if the worktrees get those of the person's
    checkout, `copied` if they only get the files of `.worktreeinclude`, else `none`.
    """
    plan, made = run.facts.environment, run.environment
    return {
        "state": "prepared" if made else "linked" if plan.places else "copied" if plan.included else "none",
        "setup": plan.setup,
        "network": plan.network,
        "name": made.name if made else "",
        "reused": made is not None and made.reused,
        "duration_s": made.duration_s if made else 0.0,
        "log": made.log if made else "",
        "places": list(plan.places),
        "included": list(plan.included),
        "included_count": plan.included_count,
        "missing": list(plan.missing),
    }
