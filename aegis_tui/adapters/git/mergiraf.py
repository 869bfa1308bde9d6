"""Merges one file with mergiraf 0.19 or newer, an optional program that compares syntax trees (GIT-3).

What it returns is only a proposal: `structural_merge` checks it as it checks its own merges.
"""

from __future__ import annotations

import asyncio
import logging
import re
import shutil
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Final

from aegis_tui.adapters.git.folder import scratch_folder
from aegis_tui.adapters.program import SubprocessRunner
from aegis_tui.domain.merge.proof import Versions
from aegis_tui.errors import Unavailable
from aegis_tui.ports.program import Bounds

_LOG = logging.getLogger(__name__)

OLDEST: Final = (0, 19)
_VERSION: Final = re.compile(r"^mergiraf (\d+)\.(\d+)", re.MULTILINE)
_VERSION_S: Final = 5.0
_MERGE_S: Final = 10.0
_MAX_BYTES: Final = 4 << 20
_SUFFIX: Final = re.compile(r"\.[A-Za-z0-9]{1,10}")


class Mergiraf:
    """The program.

    Args:
        program: Its path.
    """

    def __init__(self, program: str) -> None:
        self._program, self._runner = program, SubprocessRunner()

    async def merge(self, path: str, versions: Versions) -> str | None:
        """Return what it makes of a file without a conflict; None if it has one, fails, or takes over ten seconds.

        It runs in an empty folder with an empty environment, and does not learn the path of the file.

        Args:
            path: The file; only its suffix is used.
            versions: Its three versions.
        """
        suffix = PurePosixPath(path).suffix
        if _SUFFIX.fullmatch(suffix) is None:
            return None
        with scratch_folder() as folder:
            names = [f"{name}{suffix}" for name in ("base", "left", "right")]
            for name, text in zip(names, versions, strict=True):
                (folder / name).write_text(text, "utf-8", newline="")
            out = folder / f"out{suffix}"
            argv = [self._program, "merge", *names, "-o", out.name, "-p", out.name]
            if await _run(self._runner, argv, folder, _MERGE_S) is None:
                return None
            return await asyncio.to_thread(_read, out)


async def find_mergiraf(environ: Mapping[str, str]) -> Mergiraf | None:
    """Return the program on PATH; None, which is logged, if there is none, or it is older than 0.19.

    Args:
        environ: The variables, with PATH.
    """
    program = shutil.which("mergiraf", path=environ.get("PATH", ""))
    if program is None:
        _LOG.warning("mergiraf is configured, but it is not on PATH")
        return None
    with scratch_folder() as folder:
        said = await _run(SubprocessRunner(), [program, "--version"], folder, _VERSION_S)
    version = _VERSION.search(said or "")
    if version is None or (int(version[1]), int(version[2])) < OLDEST:
        _LOG.warning("mergiraf is not used: it is older than 0.19", extra={"said": (said or "")[:200]})
        return None
    return Mergiraf(program)


async def _run(runner: SubprocessRunner, argv: list[str], folder: Path, limit_s: float) -> str | None:
    """Return what the program printed; None, which is logged, if it did not end with status 0."""
    environment = {"HOME": str(folder), "XDG_DATA_HOME": str(folder), "LC_ALL": "C.UTF-8"}
    bounds = Bounds(folders=(folder,), disk_bytes=4 * _MAX_BYTES)
    try:
        ended = await runner.run(argv, cwd=folder, environment=environment, timeout_s=limit_s, bounds=bounds)
    except (Unavailable, OSError) as error:
        _LOG.warning("mergiraf cannot be started", extra={"reason": str(error)})
        return None
    if ended.exit_code != 0:
        _LOG.info("mergiraf merges nothing", extra={"exit_code": ended.exit_code, "said": ended.output[-500:]})
        return None
    return ended.output


def _read(path: Path) -> str | None:
    try:
        if path.is_symlink() or path.stat().st_size > _MAX_BYTES:
            return None
        return path.read_bytes().decode()
    except (OSError, UnicodeDecodeError):
        return None
