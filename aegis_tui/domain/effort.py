"""How much work one request may cause, counted in steps, so that a refusal never depends on the speed of a machine."""

from __future__ import annotations

from typing import Final

from aegis_tui.errors import Refused

MOST_STEPS: Final = 130_000
"""What the globs of one request may cost together, at half a microsecond a step; 400 ordinary globs of a design do."""

_SHOWN = 60


class Effort:
    """The steps that are left to one request. The same request on the same state always costs the same."""

    def __init__(self, steps: int = MOST_STEPS) -> None:
        self._left = steps

    @property
    def left(self) -> int:
        """Steps that are left; below 0 when more were asked for."""
        return self._left

    def spend(self, steps: int, *globs: str) -> None:
        """Take steps off for work on these globs, done or about to be done.

        Raises:
            Refused: code `glob.effort`; none are left.
        """
        self._left -= steps
        if self._left < 0:
            raise too_costly(*globs)


def too_costly(*globs: str) -> Refused:
    """The refusal of globs that cost more than a request may; it names them."""
    named = " and ".join(f"'{_cut(glob)}'" for glob in globs)
    return Refused(
        f"to compare {named} costs too much" if len(globs) > 1 else f"to read {named} costs too much",
        "write them simpler: fewer wildcards, classes and braces in a glob, or fewer globs",
        code="glob.effort",
        globs=[_cut(glob) for glob in globs],
    )


def _cut(glob: str) -> str:
    return glob if len(glob) <= _SHOWN else f"{glob[: _SHOWN - 1]}…"
