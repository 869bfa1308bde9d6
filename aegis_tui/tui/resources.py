"""Finds the data files that a person may copy and change: themes and layouts.

In the source tree they lie beside the package; when it is installed, inside it. A person's own files take precedence.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from aegis_tui.config_files import user_file

_PACKAGE = Path(__file__).resolve().parents[1]


def data_folders(kind: str, environ: Mapping[str, str]) -> list[Path]:
    """Return the folders with files of a kind that exist: those of this program, then the person's own.

    Args:
        kind: `themes` or `layouts`, the name of the folder.
        environ: The environment, which says where the person's configuration is (contract 1).
    """
    shipped = [_PACKAGE / "_data" / kind, _PACKAGE.parent / kind]
    own = user_file(environ).parent / kind
    return [folder for folder in (*shipped, own) if folder.is_dir()]


def data_files(kind: str, environ: Mapping[str, str]) -> dict[str, Path]:
    """Return the files of a kind by their names without `.toml`; a person's own file replaces one of the same name.

    Empty if there are none. The files are not read.

    Args:
        kind: `themes` or `layouts`.
        environ: The environment, which says where the person's configuration is (contract 1).
    """
    return {path.stem: path for folder in data_folders(kind, environ) for path in sorted(folder.glob("*.toml"))}
