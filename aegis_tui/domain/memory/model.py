"""What the memory holds: failed attempts, what resolved them, and the advice that is made of them (MEM-1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from aegis_tui.domain.model import FrozenModel

MOST_ADVICE: Final = 5
"""The most lines of advice for one instance."""


@dataclass(frozen=True, slots=True)
class Failure:
    """One failed attempt. Its texts hold no secrets (`without_secrets`)."""

    id: str
    """`RUN-SEQ`: the run, and the number of the event that reports it."""
    at: str
    """When it happened (RFC 3339, UTC)."""
    run: str
    piece: str
    spec: str
    """The task in words."""
    agent_id: str
    kind: str
    """The kind of its agent, such as `native`."""
    model: str
    """The name of the model that the instance worked with; empty if it is not known."""
    code: str
    """`sent-back` for a submission that was refused, else the code of the error."""
    error: str
    """What went wrong, on one line."""
    trace: str
    """All that was said about it; may be long."""
    tried: str
    """What the instance did, in its words; may be empty."""
    files: tuple[str, ...] = ()
    """The files that its submission changed."""
    resolution: str = ""
    """What the submission did that was accepted after all; empty while there is none."""
    resolved_by: str = ""
    """The instance that made that submission."""

    @property
    def text(self) -> str:
        """The texts whose words lead to the failure, one after the other: piece, task, error, trace, report, files."""
        return "\n".join([self.piece, self.spec, self.error, self.trace, self.tried, *self.files])


@dataclass(frozen=True, slots=True)
class Recalled:
    """A failure that resembles what was asked for."""

    failure: Failure
    score: float
    """From 0 to 1: how much it resembles it."""


class Advice(FrozenModel):
    """One line of advice for a new instance, from an earlier failure."""

    failure: str
    """Its id."""
    line: str
    reason: str
    """Why it is given to this instance."""
