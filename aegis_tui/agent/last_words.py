"""Words for the error that ends a task or the agent itself. The error may be any, so nothing here may fail."""

from __future__ import annotations

import traceback
from pathlib import Path

from aegis_tui.domain.prompt import inert
from aegis_tui.errors import AegisError

_WORDS_CHARS = 1000


def error_words(error: BaseException) -> str:
    """Return one short text about an error, about 1,000 characters at most, without control characters.

    For an AegisError it is the message. For any other error it says that the program itself failed, with the error's
    type, message, and the file and line that raised it.
    """
    if isinstance(error, AegisError):
        return inert(str(error))[:_WORDS_CHARS]
    frames = traceback.extract_tb(error.__traceback__)[-1:]
    place = f" ({Path(frames[0].filename).name}:{frames[0].lineno})" if frames else ""
    text = inert(f"the agent failed with an internal error: {type(error).__name__}: {error}")
    return text[:_WORDS_CHARS] + place


def sentence_of(error: AegisError) -> str:
    """Return the message of an expected error, and its hint if it has one, as one text without control characters."""
    text = error_words(error)
    return f"{text}. {inert(error.hint)}" if error.hint else text
