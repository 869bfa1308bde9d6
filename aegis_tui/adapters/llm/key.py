"""The model server's API key: in a file of the person, read again for each use, never shown or logged.

Only the gateway and the first probe of a server read it. Agents authenticate to the gateway with tokens of their own.
AEGIS_API_KEY may contain the key itself; the hub removes it from its environment and keeps it in a file that only the
owner can read.
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
"""Returns the key to send now; empty if the person gave none."""

KEY_VARIABLE = "AEGIS_API_KEY"
KEPT_NAME = "model-key"
"""The file in the runtime folder that holds a key from the environment while the gateway runs."""


class ModelKey:
    """Finds the model server's key in the environment and in the person's current settings.

    Args:
        environ: The environment. AEGIS_API_KEY_FILE has precedence over AEGIS_API_KEY, and both over
            `api_key_file` of the user configuration.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = dict(environ)
        spoken = self._environ.pop(KEY_VARIABLE, "")
        self._spoken = "" if self._environ.get(FILE_VARIABLE) else spoken

    def read(self) -> str:
        """Return the key; empty if there is none.

        Raises:
            UsageError: The settings or the key file cannot be used, or the key in AEGIS_API_KEY is not valid.
        """
        if self._spoken:
            return check_key(self._spoken.encode("utf-8", "surrogateescape"), KEY_VARIABLE)
        path = load_settings(self._environ).api_key_file
        return read_key(path) if path is not None else ""

    def file(self, folder: Path) -> Path | None:
        """Return a file that contains the key, for the gateway; None if there is no key.

        A file that the settings name is returned unread: it may be missing.

        Args:
            folder: A folder that only the owner can read and agents cannot see; a key from the environment is written
                there.

        Raises:
            UsageError: The settings cannot be used.
            OSError: The key cannot be written, or an earlier file of it cannot be read.
        """
        if not self._spoken:
            return load_settings(self._environ).api_key_file
        path = folder / KEPT_NAME
        if not path.exists() or path.read_text("utf-8", "replace") != self._spoken:
            write_private(path, self._spoken)
        return path

    def warnings(self, root: Path) -> tuple[str, ...]:
        """Return warnings about the place of the key file, each with a remedy; empty if there are none.

        Args:
            root: The repository or folder whose copies agents work on.

        Raises:
            UsageError: The settings cannot be used.
        """
        path = None if self._spoken else load_settings(self._environ).api_key_file
        if path is None:
            return ()
        warnings = []
        with contextlib.suppress(OSError):
            if path.stat().st_mode & 0o077:
                warnings.append(f"the key file {path} can be read by others: chmod 600 {shlex.quote(str(path))}")
            if path.resolve().is_relative_to(root.resolve()):
                warnings.append(f"the key file {path} lies in {root}, where agents may see it: move it elsewhere")
        return tuple(warnings)
