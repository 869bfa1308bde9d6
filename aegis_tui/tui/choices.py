"""Remembers what a person chose in the dashboard, such as the theme, in a small file of the state folder.

Settings override these choices; the person's settings file is never written to.
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path


class Choices:
    """What a person chose in an earlier session: theme, layout, and whether they left the dialog of the first one.

    Args:
        path: The JSON file that keeps them, read at each call; None to remember nothing.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def get(self, name: str) -> str | None:
        """Return the last choice for `name`, which is `theme`, `layout` or `setup`.

        None if there is none, or if the file cannot be read or has another form.
        """
        value = self._load().get(name)
        return value if isinstance(value, str) else None

    def keep(self, name: str, value: str) -> None:
        """Remember a choice for later sessions. If the file cannot be written, the choice is lost without an error.

        Args:
            name: `theme`, `layout` or `setup`.
            value: The name that the person chose; `skipped` for `setup`.
        """
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
