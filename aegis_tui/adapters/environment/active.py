"""Finds the Python environment that a person uses: the active one, the one beside the sources, or that of PATH."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from aegis_tui.adapters.environment.virtualenv import is_virtualenv

_PARTS = ("bin", "lib", "lib64", "libexec", "include")
_SYSTEM = frozenset(Path(name) for name in ("/", "/usr", "/usr/local"))
_DEADLINE_S = 10.0


def find_active(places: Sequence[Path], root: Path, environ: Mapping[str, str], own_prefix: Path) -> Path | None:
    """Return the environment whose programs the project's commands should find first; None if PATH alone decides.

    The first of these that exists: the one in VIRTUAL_ENV unless it is `own_prefix`, the best one directly in `root`,
    the one in CONDA_PREFIX unless it is `own_prefix`, the only one of `places`, and at last the one in VIRTUAL_ENV even
    if it is `own_prefix`.

    Args:
        places: The project's virtual environments, best first.
        root: The top folder of the project.
        environ: The person's environment, with VIRTUAL_ENV and CONDA_PREFIX.
        own_prefix: The environment that this program itself runs in.
    """
    beside = [place for place in places if place.parent == root]
    named = Path(environ.get("VIRTUAL_ENV") or "/")
    conda = Path(environ.get("CONDA_PREFIX") or "/")
    if is_virtualenv(named) and named != own_prefix:
        return named
    if beside:
        return beside[0]
    if (conda / "conda-meta").is_dir() and conda != own_prefix:
        return conda
    if len(places) == 1:
        return places[0]
    return named if is_virtualenv(named) else None


def prefix_of_path(search_path: str, folder: Path) -> Path | None:
    """Return the installation that the `python` in PATH belongs to; None if there is none, or it does not answer.

    That is the folder above the `bin` of the program: a virtual environment, or else with links resolved. `python3`
    counts if there is no `python`. If PATH has a shim (a script in a folder `shims` that chooses one of several
    versions), the interpreter itself is asked, for at most ten seconds. It is started without site packages and
    environment, so that no code of a repository runs. Never raises.

    Args:
        search_path: A PATH value.
        folder: Where the interpreter is started: the shim may choose by it.
    """
    program = shutil.which("python", path=search_path) or shutil.which("python3", path=search_path)
    if program is None:
        return None
    if is_virtualenv(place := Path(program).parent.parent):
        return place
    if Path(program).parent.name != "shims":
        return Path(os.path.realpath(program)).parent.parent
    argv = [program, "-I", "-S", "-c", "import sys; print(sys.prefix)"]
    try:
        answer = subprocess.run(argv, cwd=folder, capture_output=True, timeout=_DEADLINE_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    text = answer.stdout.decode("utf-8", "replace").strip()
    return Path(text) if answer.returncode == 0 and text.startswith("/") else None


def package_sites(prefix: Path) -> list[Path]:
    """Return the existing package folders (`site-packages`) of an installation, Debian's variants too; may be empty."""
    patterns = ("lib/python*/site-packages", "lib/python*/dist-packages", "local/lib/python*/dist-packages")
    return [path for pattern in patterns for path in sorted(prefix.glob(pattern)) if path.is_dir()]


def program_folders(prefixes: Iterable[Path]) -> list[Path]:
    """Return what a sandbox must show of Python installations: their existing folders of programs and libraries.

    Those of the system (`/usr`, `/usr/local`) are left out, as every sandbox shows them.
    """
    return [
        prefix / part for prefix in prefixes if prefix not in _SYSTEM for part in _PARTS if (prefix / part).is_dir()
    ]
