"""Why something failed: the message of the first error, and whether another try would fail too (FLOW-10).

An agent or the hub reports a cause. A task that is certain to fail again is not given to another instance.
"""

from __future__ import annotations

import re
from typing import Any, Literal

from pydantic import Field, field_validator

from aegis_tui.domain.model import FrozenModel
from aegis_tui.domain.path.file_name import encodable_text
from aegis_tui.errors import AegisError

Outlook = Literal["certain", "repeated", "may-pass"]
"""What another try would give: the same failure for every instance (`certain`), perhaps success for another instance,
as this one got the same refusal several times in a row (`repeated`), or an open outcome (`may-pass`)."""

MESSAGE_CHARS = 4000
SHORT_CHARS = 500
_NUMBER = re.compile(r"[0-9a-fA-F]{0,64}\d[0-9a-fA-F]{0,64}")
_SPACE = re.compile(r"\s+")


class Cause(FrozenModel):
    """The first error that led to a failure."""

    code: str = Field("failed", max_length=100)
    message: str = Field(max_length=MESSAGE_CHARS)
    hint: str = Field("", max_length=MESSAGE_CHARS)
    """What a person can do about it; empty when nothing is known."""
    outlook: Outlook = "may-pass"

    @field_validator("message", "hint", mode="before")
    @classmethod
    def _carry(cls, text: Any) -> Any:
        """Return a text that fits a cause: one that cannot be encoded as UTF-8 in git's quoted form, shortened.

        Such a text names a file whose name is not UTF-8. Any other value is returned unchanged, also one that is too
        long.
        """
        quoted = encodable_text(text) if isinstance(text, str) else text
        return text if quoted is text else ended(quoted)

    @property
    def is_certain(self) -> bool:
        """Whether the outlook is `certain`: every other instance would fail in the same way."""
        return self.outlook == "certain"

    def repeats(self, other: Cause | None) -> bool:
        """Return whether both causes have the outlook `repeated`, the same code and the same message; False for None.

        Another instance would then fail in the same way. Messages are compared without numbers, object ids and
        differences of white space (see `gist`).
        """
        return (
            other is not None
            and self.outlook == other.outlook == "repeated"
            and (self.code, gist(self.message)) == (other.code, gist(other.message))
        )


def cause_of(error: AegisError, *, outlook: Outlook | None = None) -> Cause:
    """Return the cause that an error stands for, with its code (first 100 characters), message and hint.

    Message and hint lose their middle beyond `MESSAGE_CHARS` characters (see `ended`).

    Args:
        error: The error that was raised.
        outlook: The outlook of the cause; None for `certain` if `error.is_certain`, else `may-pass`.
    """
    return Cause(
        code=error.code[:100],
        message=ended(error.message),
        hint=ended(error.hint),
        outlook=outlook or ("certain" if error.is_certain else "may-pass"),
    )


def ended(text: str, limit: int = MESSAGE_CHARS) -> str:
    """Return the text if it has at most `limit` characters, else its beginning and end with ` ... ` in between.

    The result has at most `limit` characters.
    """
    if len(text) <= limit:
        return text
    half = (limit - 5) // 2
    return f"{text[:half]} ... {text[-half:]}"


def gist(text: str) -> str:
    """Return a message without what differs between tries: each number or hexadecimal id with a digit becomes `#`.

    Runs of white space become one blank, and blanks at both ends are cut off.
    """
    return _SPACE.sub(" ", _NUMBER.sub("#", text)).strip()


def one_line(text: str, limit: int = SHORT_CHARS) -> str:
    """Return the stripped lines of a text joined with `; `, blank ones left out.

    If that has more than `limit` characters, its middle is replaced by ` ... `.
    """
    return ended("; ".join(line.strip() for line in text.splitlines() if line.strip()), limit)
