"""What a hosted program does, as its hooks write it down: its tool calls and the prompts that it gets (FLOW-6)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

_READ_BYTES = 4 * 1024 * 1024
_MOST_BYTES = 8 * 1024 * 1024
"""A file that has been read to its end and is longer is emptied."""
_PATH_FIELDS = ("file_path", "filePath", "notebook_path", "path", "absolute_path")
_PATCH_FIELDS = ("patchText", "patch", "input")
_PATCH_LINES = ("*** Add File: ", "*** Update File: ", "*** Delete File: ", "*** Move to: ")


class HookCall(NamedTuple):
    """What a hook of the program was told when it was run once, such as before one tool call."""

    event: str
    """The hook: `PreToolUse`, `UserPromptSubmit`, or another name."""
    tool: str
    """The tool that the program is about to run; empty if the hook is about something else."""
    paths: tuple[str, ...]
    """The paths that its arguments name, as they are there."""


class ToolCallLog:
    """Reads the file to which hooks append; whatever cannot be read is left out.

    Args:
        path: The file; it need not exist.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read_bytes = 0

    def read(self) -> list[HookCall]:
        """Return the next calls that were appended, of at most 4 MiB; the rest is left for the next call of this.

        So is a line that is not complete yet; one of more than 4 MiB is left out. Empty if there is nothing new, or the
        file is missing or cannot be read. A file over 8 MiB is emptied when it has been read to its end.
        """
        with suppress(OSError), self._path.open("rb") as file:
            file.seek(self._read_bytes)
            data = file.read(_READ_BYTES)
            whole, _, rest = data.rpartition(b"\n")
            skipped = data if len(data) == _READ_BYTES and not whole else b""  # a line that long is of no interest
            self._read_bytes += len(data) - len(rest) if not skipped else len(skipped)
            if not rest and self._read_bytes > _MOST_BYTES:
                self._path.write_bytes(b"")
                self._read_bytes = 0
            return [call for line in whole.splitlines() if (call := _call_in(line)) is not None]
        return []


def _call_in(line: bytes) -> HookCall | None:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict):
        return None
    event, tool = value.get("hook_event_name", "PreToolUse"), value.get("tool_name", "")
    if not isinstance(event, str) or not isinstance(tool, str):
        return None
    return HookCall(event, tool, tuple(paths_in(value.get("tool_input"))))


def paths_in(arguments: object) -> Iterator[str]:
    """Yield the paths that the arguments of a tool call name, as written there: in a field, or in a patch's headers.

    Nothing if `arguments` is no object.
    """
    if not isinstance(arguments, dict):
        return
    yield from (value for name in _PATH_FIELDS if isinstance(value := arguments.get(name), str) and value)
    for patch in (value for name in _PATCH_FIELDS if isinstance(value := arguments.get(name), str)):
        for line in patch.splitlines():
            yield from (line.removeprefix(head).strip() for head in _PATCH_LINES if line.startswith(head))
