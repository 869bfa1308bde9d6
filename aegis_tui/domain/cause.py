"""Why something failed: the first error in its own words, and whether whoever tries it next fails as well (FLOW-10).

An agent or the hub itself says so. What is certain to fail again is not given to a successor.
"""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field

from aegis_tui.domain.model import FrozenModel
from aegis_tui.errors import AegisError

Outlook = Literal["certain", "repeated", "may-pass"]
"""What a second try would give: the same failure for every successor (`certain`), the refusal that this instance met
several times in a row, though another may do better (`repeated`), or anything (`may-pass`)."""

MESSAGE_CHARS = 4000
SHORT_CHARS = 500
_NUMBER = re.compile(r"[0-9a-fA-F]{0,64}\d[0-9a-fA-F]{0,64}")
_SPACE = re.compile(r"\s+")


class Cause(FrozenModel):
    """The first error behind a failure."""

    code: str = Field("failed", max_length=100)
    message: str = Field(max_length=MESSAGE_CHARS)
    hint: str = Field("", max_length=MESSAGE_CHARS)
    """What a person can do about it; empty when nothing is known."""
    outlook: Outlook = "may-pass"

    @property
    def is_certain(self) -> bool:
        """True when every successor would fail in the same way."""
        return self.outlook == "certain"

    def repeats(self, other: Cause | None) -> bool:
        """Whether two instances were stopped by the same refusal, so that a third one would be as well."""
        return (
            other is not None
            and self.outlook == other.outlook == "repeated"
            and (self.code, gist(self.message)) == (other.code, gist(other.message))
        )


def cause_of(error: AegisError, *, outlook: Outlook | None = None) -> Cause:
    """The cause that an error is, cut to what a message may hold.

    Args:
        error: What was raised.
        outlook: Overrides what the error itself says of a second try.
    """
    return Cause(
        code=error.code[:100],
        message=ended(error.message),
        hint=ended(error.hint),
        outlook=outlook or ("certain" if error.is_certain else "may-pass"),
    )


def ended(text: str, limit: int = MESSAGE_CHARS) -> str:
    """Text that is not longer than `limit`; of a longer one the beginning and the end, which hold what matters."""
    if len(text) <= limit:
        return text
    half = (limit - 5) // 2
    return f"{text[:half]} ... {text[-half:]}"


def gist(text: str) -> str:
    """Text without what differs from one try to the next: numbers, object ids, space."""
    return _SPACE.sub(" ", _NUMBER.sub("#", text)).strip()


def one_line(text: str, limit: int = SHORT_CHARS) -> str:
    """A text of several lines as one, for a message that goes on behind it."""
    return ended("; ".join(line.strip() for line in text.splitlines() if line.strip()), limit)
