"""What a person chose by a key and wants to find again: theme and layout, in one small file of the state folder.

It is no setting: the person's own file goes before it and is never written to.
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path


class Choices:
    """The choices of all sessions of a person.

    Args:
        path: The file; None keeps nothing.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def get(self, name: str) -> str | None:
        """What was chosen last; None when nothing was, or the file cannot be read."""
        value = self._load().get(name)
        return value if isinstance(value, str) else None

    def keep(self, name: str, value: str) -> None:
        """Remember a choice; a disk that refuses loses it, and nothing else."""
        if self._path is None:
            return
        with suppress(OSError):
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            text = json.dumps({**self._load(), name: value}, ensure_ascii=False)
            new = self._path.with_suffix(".new")
            new.write_text(text, "utf-8")
            new.replace(self._path)

    def _load(self) -> dict[str, object]:
        if self._path is None:
            return {}
        try:
            loaded = json.loads(self._path.read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return loaded if isinstance(loaded, dict) else {}
