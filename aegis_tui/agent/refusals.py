"""Refusals that one task meets: the same one three times in a row ends it, one that is certain to come again at once.

Waiting makes some refusals pass (a lock that is held, a hub that is away); those are not counted.
"""

from __future__ import annotations

from collections import Counter

from aegis_tui.domain.cause import Cause, cause_of, gist
from aegis_tui.errors import AegisError, Conflict, Unavailable

MAX_IN_ROW = 3
"""Equal refusals without a change of the files in between."""
MAX_IN_ALL = 6
"""Equal refusals of one task whatever was changed in between."""

CERTAIN_WHEN_REPEATED = frozenset({"commit.hook", "git.add", "git.commit"})
"""What an agent may put right, and which meets every successor as well when it cannot."""

HINTS = {
    "commit.hook": "run that hook by hand in a fresh clone; agents have neither your network nor your home folder",
    "commit.guard": "widen the partition in the design, or grant the path when the agent asks for it",
    "usage": "read its log: the model does not do what its role asks; another model may",
}
"""What a person can do about a refusal; the error's own hint is for the model."""

_OTHERWISE = "read its log: the brief may ask for what a rule refuses"

CHANGES = frozenset({"edit", "write", "bash"})
"""Tools after whose success the same refusal may have another reason."""

Signature = tuple[str, str, str, str]


class Refusals:
    """Counts the refusals of one task."""

    def __init__(self) -> None:
        self._last: Signature | None = None
        self._in_row = 0
        self._in_all: Counter[Signature] = Counter()

    def accepted(self, tool: str) -> None:
        """A call succeeded: one that changes files gives a refused call another chance."""
        if tool in CHANGES:
            self._last, self._in_row = None, 0

    def refused(self, tool: str, arguments: str, error: AegisError, *, finishes: bool) -> Cause | None:
        """Take down one refusal.

        Args:
            tool: Which tool was called.
            arguments: With what, as the model wrote it.
            error: What the tool raised.
            finishes: The tool ends the task, so its refusal is the same whatever its arguments say.

        Returns:
            Why the task has to end; None while it may go on.
        """
        if error.is_certain:
            return cause_of(error)
        if isinstance(error, (Conflict, Unavailable)):
            return None
        signature = (tool, "" if finishes else arguments, error.code, gist(error.message))
        self._in_row = self._in_row + 1 if signature == self._last else 1
        self._last = signature
        self._in_all[signature] += 1
        if self._in_row < MAX_IN_ROW and self._in_all[signature] < MAX_IN_ALL:
            return None
        cause = cause_of(error, outlook="certain" if error.code in CERTAIN_WHEN_REPEATED else "repeated")
        return cause.model_copy(update={"hint": HINTS.get(error.code, _OTHERWISE)})
