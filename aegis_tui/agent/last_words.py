"""What an agent says of the error that ends its task or itself; nobody expects the error, so nothing here may fail."""

from __future__ import annotations

import traceback
from pathlib import Path

from aegis_tui.domain.prompt import inert
from aegis_tui.errors import AegisError

_WORDS_CHARS = 1000


def error_words(error: BaseException) -> str:
    """One short text about an error, safe on a terminal: the message of an expected one, else kind, message and place.

    Args:
        error: What was raised. An error of this program itself is said to be one, with the line that raised it.
    """
    if isinstance(error, AegisError):
        return inert(str(error))[:_WORDS_CHARS]
    frames = traceback.extract_tb(error.__traceback__)[-1:]
    place = f" ({Path(frames[0].filename).name}:{frames[0].lineno})" if frames else ""
    text = inert(f"the agent failed on an error of its own: {type(error).__name__}: {error}")
    return text[:_WORDS_CHARS] + place


def sentence_of(error: AegisError) -> str:
    """An expected error with what to do about it, for the hub and the person."""
    text = error_words(error)
    return f"{text}. {inert(error.hint)}" if error.hint else text
