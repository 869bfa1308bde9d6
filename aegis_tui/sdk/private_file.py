"""Reads and writes files that only their owner may read; each is replaced in one step (SEC-3)."""

from __future__ import annotations

import json
import os
import secrets
import stat
from pathlib import Path
from typing import Any

_RECORD_BYTES = 64 * 1024


def write_private(path: Path, text: str | bytes) -> None:
    """Replace `path` by a file of mode 0600 with this text; a reader sees either the old or the new file, complete.

    Args:
        path: The file, in a folder that exists.
        text: Its content; a `str` is written as UTF-8.

    Raises:
        OSError: It cannot be written; no temporary file remains.
    """
    content = text if isinstance(text, bytes) else text.encode()
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        draft.replace(path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise


def load_record(path: Path) -> dict[str, Any]:
    """Return the JSON object in a regular file; never raises, and never blocks, even on a pipe.

    Empty if there is no such file, it cannot be read, is larger than 64 KiB, or holds something else.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            text = file.read(_RECORD_BYTES) if stat.S_ISREG(os.fstat(descriptor).st_mode) else b""
        loaded = json.loads(text)
    except (OSError, ValueError, RecursionError):
        return {}
    return loaded if isinstance(loaded, dict) else {}
