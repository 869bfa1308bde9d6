"""The log of a background process, in files of limited size and number that only their owner may read."""

from __future__ import annotations

import io
import logging
import os
import sys
from logging.handlers import RotatingFileHandler
from pathlib import Path

MAX_BYTES = 8 << 20
KEPT_FILES = 2
"""How many older files are kept beside the log: `hub.log.1`, `hub.log.2`."""


_OF_EVERY_RECORD = frozenset((*logging.makeLogRecord({}).__dict__, "asctime", "message", "taskName"))
_FACT_CHARS = 500


class FactsFormatter(logging.Formatter):
    """Formats time, level, logger and message of a record, followed by the fields given as `extra`."""

    def __init__(self) -> None:
        """Set the line format of all programs of this project."""
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:
        """Return the line with the `extra` fields as `name=value`, without a traceback; called by the base class."""
        facts = {name: value for name, value in vars(record).items() if name not in _OF_EVERY_RECORD}
        said = [f"{name.removeprefix('aegis_')}={value!r:.{_FACT_CHARS}}" for name, value in facts.items()]
        return " ".join([super().formatMessage(record), *said])


def log_to_stderr() -> None:
    """Set up the log of a background process: level INFO, to stderr, formatted by `FactsFormatter`.

    No effect if the root logger has a handler already.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(FactsFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler])


class RotatingLog(RotatingFileHandler):
    """Appends to one file; a full file is renamed and a new one started.

    If this process's stdout or stderr leads to the old file, it is redirected to the new one.
    """

    def __init__(self, path: Path, *, max_bytes: int = MAX_BYTES, kept_files: int = KEPT_FILES) -> None:
        """Open the file; create it with mode 0600 if there is none.

        Args:
            path: The log file; a link is refused, not followed.
            max_bytes: A line that would make the file larger starts a new file.
            kept_files: How many older files are kept.

        Raises:
            OSError: It cannot be opened.
        """
        super().__init__(path, maxBytes=max_bytes, backupCount=kept_files, encoding="utf-8", errors="backslashreplace")

    def _open(self) -> io.TextIOWrapper:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(self.baseFilename, flags, 0o600)
        return io.TextIOWrapper(open(descriptor, "ab"), encoding=self.encoding, errors=self.errors)  # noqa: PTH123  # owned by the handler

    def doRollover(self) -> None:
        """Rename the full file and open a new one; called by the base class before a line that would not fit.

        Raises:
            OSError: A file cannot be renamed or opened; the base class prints that to stderr and goes on.
        """
        ours = [number for number in (1, 2) if self._leads_here(number)]
        super().doRollover()
        if self.stream:
            for number in ours:
                os.dup2(self.stream.fileno(), number)

    def _leads_here(self, descriptor: int) -> bool:
        return self.stream is not None and _is_same_file(descriptor, self.stream.fileno())


def log_to(path: Path, *, max_bytes: int = MAX_BYTES, kept_files: int = KEPT_FILES) -> None:
    """Rotate this process's log if its stderr is that file; do nothing if not, for example in a terminal.

    The handlers that write to stderr are replaced. A second call does nothing.

    Args:
        path: The log file.
        max_bytes: A line that would make the file larger starts a new file.
        kept_files: How many older files are kept.

    Raises:
        OSError: The file is ours but cannot be opened for writing.
    """
    root = logging.getLogger()
    try:
        with path.open("rb") as file:
            is_ours = _is_same_file(2, file.fileno())
    except OSError:
        return
    if not is_ours or any(isinstance(handler, RotatingLog) for handler in root.handlers):
        return
    rotating = RotatingLog(path, max_bytes=max_bytes, kept_files=kept_files)
    for handler in list(root.handlers):
        if getattr(handler, "stream", None) is sys.stderr:
            rotating.setFormatter(handler.formatter)
            root.removeHandler(handler)
    root.addHandler(rotating)


def _is_same_file(one: int, other: int) -> bool:
    try:
        return os.path.sameopenfile(one, other)
    except OSError:
        return False
