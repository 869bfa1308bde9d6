"""How long the programs of a workspace go on without their hub (contract 10)."""

from __future__ import annotations

from collections.abc import Mapping

from aegis_tui.errors import UsageError

VARIABLE = "AEGIS_ORPHAN_S"
_USUAL_S = 600.0
_LONGEST_S = 86_400.0


def orphan_s(environ: Mapping[str, str]) -> float:
    """Return the seconds in AEGIS_ORPHAN_S, at least 1 and at most a day; 600 if it is not set or empty.

    Raises:
        UsageError: It is not a number.
    """
    text = environ.get(VARIABLE)
    try:
        return min(_LONGEST_S, max(1.0, float(text))) if text else _USUAL_S
    except ValueError as error:
        raise UsageError(f"{VARIABLE} is {text!r}, which is not a number of seconds") from error
