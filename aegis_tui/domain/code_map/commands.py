"""The command that asks the code map about the sender's files (MAP-5)."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import Field

from aegis_tui.domain.model import CommandData

MapQuestion = Literal["find", "show", "callers", "callees", "tests", "search", "impact", "partition"]
MOST_CHARS: Final = 1_000
MOST_COUNT: Final = 50
"""How many definitions or parts one question asks for at most."""


class MapAsk(CommandData):
    """Ask the code map about the sender's worktree, as it is now; a person asks about the checkout.

    The hub reads the answer and sets `answer`; a client cannot set it.
    """

    type: Literal["map:ask"] = "map:ask"
    question: MapQuestion
    about: Annotated[str, Field(min_length=1, max_length=MOST_CHARS)]
    """A name, `PATH:NAME`, `PATH`, or the text to search for; for `partition` it has no effect."""
    form: Literal["outline", "signatures", "body"] = "signatures"
    """How much `show` shows."""
    count: Annotated[int, Field(ge=1, le=MOST_COUNT)] = 10
    """How many definitions `search` returns at most; how many parts `partition` suggests."""
    answer: dict[str, Any] | None = None
