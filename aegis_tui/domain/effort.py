"""The limit on the work that one request may cause, in steps, so that a refusal never depends on a machine's speed."""

from __future__ import annotations

from typing import Final

from aegis_tui.errors import Refused

MOST_STEPS: Final = 130_000
"""The steps that the globs of one request may take together: about 65 ms at half a microsecond each, which is enough
for a design with 400 ordinary globs."""

_SHOWN = 60


class Effort:
    """Counts the steps that are left to one request. The same request on the same state always takes the same."""

    __slots__ = ("_left",)

    def __init__(self, steps: int = MOST_STEPS) -> None:
        self._left = steps

    @property
    def left(self) -> int:
        """The steps that are left; below 0 after more were spent than there were."""
        return self._left

    def spend(self, steps: int, *globs: str) -> None:
        """Subtract steps from what is left, for work on these globs that is done or about to be done.

        Args:
            steps: How many.
            globs: The globs that the refusal names; they do not change the cost.

        Raises:
            Refused: More steps are spent than the request had (code `glob.effort`); they are subtracted even so.
        """
        self._left -= steps
        if self._left < 0:
            raise too_costly(*globs)


def too_costly(*globs: str) -> Refused:
    """Return, not raise, the refusal of globs that take more steps than a request may; it names them, shortened."""
    named = " and ".join(f"'{_cut(glob)}'" for glob in globs)
    return Refused(
        f"comparing {named} would take too many steps"
        if len(globs) > 1
        else f"reading {named} would take too many steps",
        "simplify: fewer wildcards, classes and braces in a glob, or fewer globs",
        code="glob.effort",
        globs=[_cut(glob) for glob in globs],
    )


def _cut(glob: str) -> str:
    return glob if len(glob) <= _SHOWN else f"{glob[: _SHOWN - 1]}…"
