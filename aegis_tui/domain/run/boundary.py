"""The boundary of one run: how its agents are isolated, and what they may reach (SEC-4)."""

from __future__ import annotations

from aegis_tui.domain.boundary import boundary_word
from aegis_tui.domain.run.model import Run
from aegis_tui.domain.run.report_model import BoundaryReport


def boundary_of(run: Run) -> BoundaryReport:
    """Return how the agents of a run are isolated, and what they may reach besides hub and model, as a JSON object.

    `level` and `layers` say how, `allowed` has the addresses by kind of agent, and `word` is the whole in a few words.
    """
    facts, allowed = run.facts, run.options.boundary
    return {
        "level": facts.boundary_level,
        "layers": dict(facts.boundary_layers),
        "allowed": {kind: list(addresses) for kind, addresses in allowed.items()},
        "word": boundary_word(facts.boundary_level, allowed),
    }
