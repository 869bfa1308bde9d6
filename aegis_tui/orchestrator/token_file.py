"""The file with the token by which the hub knows an instance (contract 2)."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def token_in(path: Path) -> str:
    """Return the token in that file; write a new one of 32 random bytes, in hex, if there is none (contract 2).

    An empty file is replaced. A new file has mode 0600.

    Raises:
        OSError: The file cannot be read or written.
        UnicodeDecodeError: The file holds something that is not ASCII.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        if text := path.read_text("ascii").strip():
            return text
        path.unlink()
        return token_in(path)
    token = secrets.token_hex(32)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(token + "\n")
    return token
