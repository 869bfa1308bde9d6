"""Review lenses: what one reviewer of a piece looks for, and whether the piece has to pass that review (ROLE-9)."""

from __future__ import annotations

from pydantic import Field

from aegis_tui.domain.model import FrozenModel

LENS_NAME = r"^[a-z][a-z0-9-]{0,31}$"

BRIEF_CHARACTERS = 16 * 1024
"""The longest checklist: it is part of every brief of its reviewers, and of the log."""


class ReviewLens(FrozenModel):
    """What a reviewer pays attention to. Each piece is reviewed once with each lens of its run."""

    name: str = Field(pattern=LENS_NAME)
    """Its name in `--lens`, and the name of its file."""
    blocking: bool = True
    """A piece is merged only if the reviews of all blocking lenses approve it; other reviews are only reported."""
    brief: str = Field("", max_length=BRIEF_CHARACTERS)
    """The checklist that the reviewer gets besides the task."""


GENERAL = ReviewLens(name="general")
"""The lens that every run has: goal, task and acceptance criteria, then security and quality. A team may replace it."""


def for_lens(name: str | None) -> str:
    """Return words to put after what is reviewed: ` for LENS`, with a blank in front.

    Empty for the general lens and for None.
    """
    return "" if name in (None, GENERAL.name) else f" for {name}"
