"""A person's comments on lines of a piece, collected until they go to its agent as one prompt (WISH-2)."""

from __future__ import annotations

from aegis_tui.domain.model import StateModel

MOST_COMMENTS = 200
"""The most comments that wait to be sent in a run."""


class LineComment(StateModel):
    """One comment that is not sent yet."""

    number: int
    """By which a person names it; unique among those that wait in a run."""
    piece: str
    file: str
    line: int
    """1-based, in the file as the piece has it."""
    text: str
    quote: str = ""
    """The line as the person saw it; empty if it is not known."""
