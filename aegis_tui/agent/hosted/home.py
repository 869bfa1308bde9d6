"""Writes the program's configuration files into the instance's home folder, before the program's first start."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from aegis_tui.domain.hosting.kind_file import HomeFile, fill_file
from aegis_tui.sdk.private_file import write_private


def write_home(home: Path, files: Iterable[HomeFile], values: Mapping[str, str]) -> None:
    """Write the files, readable only by the owner; a file that is there already is replaced.

    Args:
        home: The instance's home folder.
        files: The files of its kind; their paths are relative to `home`.
        values: The values of the placeholders in their texts, by name.

    Raises:
        OSError: A file or folder cannot be written.
    """
    for file in files:
        path = home / file.path
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(path, fill_file(file.text, values))
