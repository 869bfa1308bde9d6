"""A reviewer's lens: what one reviewer of a piece looks for, and whether the piece waits for it (ROLE-9)."""

from __future__ import annotations

from pydantic import Field

from aegis_tui.domain.model import FrozenModel

LENS_NAME = r"^[a-z][a-z0-9-]{0,31}$"

BRIEF_CHARACTERS = 16 * 1024
"""The most that a checklist may hold: it is part of every brief of its reviewers, and of the log."""


class ReviewLens(FrozenModel):
    """One way of looking at a piece. Each piece is reviewed once through each lens of its run."""

    name: str = Field(pattern=LENS_NAME)
    """The word for it in `--lens`, and the name of its file."""
    blocking: bool = True
    """A piece is merged once every blocking lens has approved it; what another one finds is only reported."""
    brief: str = Field("", max_length=BRIEF_CHARACTERS)
    """The checklist that the reviewer is given besides the task."""


GENERAL = ReviewLens(name="general")
"""The lens of a run for which none was chosen: goal, task and acceptance criteria, then security and quality."""


def for_lens(name: str | None) -> str:
    """Words that follow what is reviewed: ` for security`; nothing for the general lens, or where none was kept."""
    return "" if name in (None, GENERAL.name) else f" for {name}"
