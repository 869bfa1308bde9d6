"""Reads the API key from a file; the gateway does so for each request. Imports no settings: the gateway has none."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from aegis_tui.errors import UsageError

FILE_VARIABLE = "AEGIS_API_KEY_FILE"
HINT = f"api_key_file in the user configuration, or {FILE_VARIABLE}, names a file that holds the key and nothing else"

_KEY_LIMIT_BYTES = 16 * 1024


def read_key(path: Path) -> str:
    """Return the key in a file.

    Raises:
        UsageError: It is missing, is not a regular file, cannot be read, is empty, or does not hold one line of visible
            ASCII of at most 16 KiB. The message names the file, never its content.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise UsageError(f"the key file {path} is not a regular file", HINT)
            text = file.read(_KEY_LIMIT_BYTES + 1)
    except OSError as error:
        raise UsageError(f"the key file {path} cannot be read: {error.strerror}", HINT) from error
    return check_key(text, f"the key file {path}")


def check_key(text: bytes, where: str) -> str:
    """Return the key in a text that should hold nothing else; white space and a byte order mark around it are removed.

    Args:
        text: The content of a file or variable.
        where: What it is, as the subject of the error's message.

    Raises:
        UsageError: It is empty, over 16 KiB, or not one line of visible ASCII.
    """
    key = text.removeprefix(b"\xef\xbb\xbf").strip()
    if not key:
        raise UsageError(f"{where} is empty", HINT)
    if len(key) > _KEY_LIMIT_BYTES or not all(33 <= sign <= 126 for sign in key):
        raise UsageError(f"{where} does not hold one line of visible ASCII", HINT)
    return key.decode("ascii")


def without_key(text: str, key: str) -> str:
    """Return the text with the key, if not empty, replaced by `[key]`: some servers repeat the key that they refuse."""
    return text.replace(key, "[key]") if key else text
