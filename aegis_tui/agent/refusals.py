"""Decides when refused tool calls end a task: at once for a certain refusal, else after several equal ones.

Refusals that waiting can resolve (a lock that is held, a hub that does not answer) are not counted.
"""

from __future__ import annotations

from collections import Counter

from aegis_tui.domain.cause import Cause, cause_of, gist
from aegis_tui.errors import AegisError, Conflict, Unavailable

MAX_IN_ROW = 3
"""How many equal refusals in a row, without a change of files in between, end a task."""
MAX_IN_ALL = 6
"""How many equal refusals in one task end it, whatever was changed in between."""

CERTAIN_WHEN_REPEATED = frozenset({"commit.hook", "git.add", "git.commit"})
"""Error codes that an agent may be able to fix; if it cannot, every successor fails with them as well."""

HINTS = {
    "commit.hook": "run that hook by hand in a fresh clone; agents have neither your network nor your home folder",
    "commit.guard": "widen the partition in the design, or grant the path when the agent asks for it",
    "usage": "read the agent's log: the model does not do what its role asks; try another model",
}
"""Error code -> what a person can do about a refusal; the error's own hint is for the model."""

_OTHERWISE = "read the agent's log: the brief may ask for something that a rule refuses"

CHANGES = frozenset({"edit", "write", "delete", "rename", "bash"})
"""Tools that change files: after one succeeds, the same refusal may have another reason."""

Signature = tuple[str, str, str, str]


class Refusals:
    """Counts the refusals of one task."""

    def __init__(self) -> None:
        self._last: Signature | None = None
        self._in_row = 0
        self._in_all: Counter[Signature] = Counter()

    def accepted(self, tool: str) -> None:
        """Record a call that succeeded; if the tool changes files, the count of refusals in a row is reset."""
        if tool in CHANGES:
            self._last, self._in_row = None, 0

    def refused(self, tool: str, arguments: str, error: AegisError, *, finishes: bool) -> Cause | None:
        """Count one refusal, unless waiting can resolve it (`Conflict`, `Unavailable`).

        Args:
            tool: The tool that was called.
            arguments: Its arguments, as the model wrote them.
            error: What the tool raised; `is_certain` if every further try would fail with it, also a successor's.
            finishes: Whether the tool ends the task; then refusals with other arguments count as equal, too.

        Returns:
            Why the task must end: the refusal is certain, or is the `MAX_IN_ROW`th equal one in a row or the
            `MAX_IN_ALL`th in all. None while it can go on.
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
