"""Where the data files are that a person may copy and change: themes and layouts.

In the source tree they lie beside the package, in an installed one inside it; a person's own go first.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from aegis_tui.config_files import user_file

_PACKAGE = Path(__file__).resolve().parents[1]


def data_folders(kind: str, environ: Mapping[str, str]) -> list[Path]:
    """Folders with files of a kind (`themes`, `layouts`), the person's own last so that it overrides.

    Args:
        kind: The folder's name.
        environ: Says where the person's configuration is (contract 1).
    """
    shipped = [_PACKAGE / "_data" / kind, _PACKAGE.parent / kind]
    own = user_file(environ).parent / kind
    return [folder for folder in (*shipped, own) if folder.is_dir()]


def data_files(kind: str, environ: Mapping[str, str]) -> dict[str, Path]:
    """Files of a kind by name; a person's own file of the same name replaces the shipped one."""
    return {path.stem: path for folder in data_folders(kind, environ) for path in sorted(folder.glob("*.toml"))}
