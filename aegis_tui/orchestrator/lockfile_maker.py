"""Makes lockfiles again on a merged tree, with their package managers, in the sandbox and without a network (GIT-3)."""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from aegis_tui.domain.cause import one_line
from aegis_tui.domain.merge.lock_seed import locked_packages
from aegis_tui.domain.path.file_name import name_of
from aegis_tui.domain.run.model import Run
from aegis_tui.domain.scope.lockfile import lockfile_of
from aegis_tui.orchestrator.qa_run import QaRunner
from aegis_tui.sdk.untrusted_folder import UntrustedFolder

_log = logging.getLogger(__name__)

_LIMIT_S: Final = 60.0
MAX_BYTES: Final = 16 << 20


class MadeLockfile(NamedTuple):
    """A lockfile that was made again, or why it was not."""

    content: bytes
    """Empty if it was not made."""
    problem: str = ""


class LockfileMaker:
    """Runs package managers.

    Args:
        runner: Runs programs on a commit.
        environ: The hub's environment, in whose PATH they are found.
    """

    def __init__(self, runner: QaRunner, environ: Mapping[str, str]) -> None:
        self._runner, self._path = runner, environ.get("PATH", "")

    def can_make(self, path: str) -> bool:
        """Whether the package manager of a lockfile is installed, and can be tried without a network."""
        known = lockfile_of(path)
        return known is not None and bool(known.offline) and shutil.which(known.offline[0], path=self._path) is not None

    async def make(self, run: Run, oid: str, path: str, sides: tuple[str, str]) -> MadeLockfile:
        """Make a lockfile again on a commit, whose file of that name is what the package manager begins with.

        It is not made if the result names a package in a version that neither side had: that is for a worker to decide.

        Args:
            run: The run; its sandbox option and its environment are used.
            oid: The commit.
            path: The lockfile, one of those that `can_make` knows.
            sides: The lockfile as both sides of the merge have it.

        Raises:
            AegisError: The worktree or the sandbox cannot be set up.
            OSError: The worktree cannot be written, or the program cannot be started.
        """
        known = lockfile_of(path)
        if known is None:
            return MadeLockfile(b"", "it is not a lockfile")
        command = " ".join(known.offline)
        async with self._runner.place(run, oid, [command], f"lock-{oid[:12]}") as place:
            folder, _, name = name_of(path).rpartition("/")
            root = place.scratch.path
            ended = await self._runner.run_program(place, known.offline, folder=root / folder, limit_s=_LIMIT_S)
            content = await asyncio.to_thread(_read, root, f"{folder}/{name}" if folder else name)
        if ended.exit_code != 0:
            _log.info("a lockfile could not be regenerated", extra={"command": command, "output": ended.output[-2000:]})
            return MadeLockfile(b"", f"`{command}` fails here: {_last_words(ended.output) or ended.stopped}")
        return _checked(path, content, sides, command)


def _read(root: Path, name: str) -> bytes:
    """Return the content of a file of the worktree, which a program of the project may have replaced; else empty."""
    try:
        with UntrustedFolder(root) as folder:
            return folder.read(name, limit=MAX_BYTES) or b""
    except OSError:
        return b""


def _checked(path: str, content: bytes, sides: tuple[str, str], command: str) -> MadeLockfile:
    try:
        names = locked_packages(path, content.decode())
        unknown = sorted(names.difference(*(locked_packages(path, text) for text in sides)))
    except ValueError as error:
        return MadeLockfile(b"", f"`{command}` leaves a file that cannot be read: {one_line(str(error))[:200]}")
    if unknown:
        name, version = unknown[0]
        return MadeLockfile(b"", f"`{command}` chooses {name} {version}, which neither side had")
    return MadeLockfile(content)


def _last_words(output: str) -> str:
    """Return the first line in which a program says that something failed, else its last line."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    said = next((line for line in lines if "error" in line.lower()), lines[-1] if lines else "")
    return one_line(said)[:200]
