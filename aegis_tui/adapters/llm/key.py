"""The key that a model server wants: in a file of the person's, read anew for each use, never shown or logged.

Only the gateway and the first look at a server read it. Agents authenticate to the gateway with tokens of their own.
AEGIS_API_KEY may hold the key itself; the hub takes it out of its environment and keeps it in an owner-only file.
"""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path

from aegis_tui.config import load_settings
from aegis_tui.sdk.key_file import FILE_VARIABLE, check_key, read_key
from aegis_tui.sdk.private_file import write_private

FindKey = Callable[[], str]
"""The key to send now; empty when the person gave none."""

KEY_VARIABLE = "AEGIS_API_KEY"
KEPT_NAME = "model-key"
"""The file in the runtime folder that keeps a key out of the environment, while the gateway runs."""


class ModelKey:
    """Where the model server's key is, by the environment and the person's own settings as they are now.

    Args:
        environ: The environment that the settings are read by. AEGIS_API_KEY_FILE wins over AEGIS_API_KEY, and both
            over `api_key_file` of the user configuration.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = dict(environ)
        spoken = self._environ.pop(KEY_VARIABLE, "")
        self._spoken = "" if self._environ.get(FILE_VARIABLE) else spoken

    def read(self) -> str:
        """The key; empty when there is none.

        Raises:
            UsageError: The settings or the key file cannot be used.
        """
        if self._spoken:
            return check_key(self._spoken.encode("utf-8", "surrogateescape"), KEY_VARIABLE)
        path = load_settings(self._environ).api_key_file
        return read_key(path) if path is not None else ""

    def file(self, folder: Path) -> Path | None:
        """A file that holds the key, for the gateway; None when there is none.

        Args:
            folder: Owner-only and out of the agents' sight; a key out of the environment is put there.

        Raises:
            UsageError: The settings cannot be used.
        """
        if not self._spoken:
            return load_settings(self._environ).api_key_file
        path = folder / KEPT_NAME
        if not path.exists() or path.read_text("utf-8", "replace") != self._spoken:
            write_private(path, self._spoken)
        return path

    def warnings(self, root: Path) -> tuple[str, ...]:
        """What is wrong with the place of the key file, each with what helps; empty when nothing is.

        Args:
            root: The repository, or the folder, that agents work on copies of.
        """
        path = None if self._spoken else load_settings(self._environ).api_key_file
        if path is None:
            return ()
        found = []
        with contextlib.suppress(OSError):
            if path.stat().st_mode & 0o077:
                found.append(f"the key file {path} can be read by others: chmod 600 {shlex.quote(str(path))}")
            if path.resolve().is_relative_to(root.resolve()):
                found.append(f"the key file {path} lies in {root}, where agents may see it: move it elsewhere")
        return tuple(found)
