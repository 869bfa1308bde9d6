"""How a QA command is run: scratch worktree, environment, mounts, limits (FLOW-7). What its result means is in `qa`."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from aegis_tui.domain.qa.obstacle import Obstacle
from aegis_tui.domain.run import Run
from aegis_tui.ports.program import ProgramResult, ProgramRunner
from aegis_tui.ports.repository import Repository
from aegis_tui.ports.sandbox import Sandbox, SandboxLevel, SandboxSpec
from aegis_tui.ports.surroundings import QaEnvironment, Surroundings
from aegis_tui.services.instances import PASSED_ON

TIMEOUT_S = 1800.0
"""The longest one command may take."""


class BareEnvironment:
    """A `QaEnvironment` with nothing beside the worktree."""

    async def prepare(
        self, worktree: Path, home: Path, commands: Sequence[str], *, confined: bool, committed: bool = False
    ) -> Surroundings:
        """Make nothing ready."""
        return Surroundings()

    async def inspect(self, worktree: Path, home: Path, command: str) -> Sequence[Obstacle]:
        """Find nothing."""
        return ()


@dataclass(frozen=True, slots=True)
class CommandRun:
    """One command on one tree: how it ended, and what says that its result does not count."""

    result: ProgramResult
    obstacles: tuple[Obstacle, ...] = ()
    """When there is any, the check is `not_run`; the program was perhaps not even started."""


class QaRunner:
    """Runs commands on a tree of the repository, in a scratch worktree that is removed afterwards.

    Args:
        repository: Where the trees come from.
        sandbox: What holds the commands.
        programs: Runs them.
        scratch_dir: Where scratch worktrees are made.
        environ: The hub's environment; only `PASSED_ON` of it reaches a command.
        surroundings: Makes the project's environment ready.
    """

    def __init__(
        self,
        *,
        repository: Repository,
        sandbox: Sandbox,
        programs: ProgramRunner,
        scratch_dir: Path,
        environ: Mapping[str, str],
        surroundings: QaEnvironment,
    ) -> None:
        self._repository, self._sandbox, self._programs = repository, sandbox, programs
        self._surroundings, self._scratch_dir, self._environ = surroundings, scratch_dir, environ

    async def run_all(self, run: Run, oid: str, commands: Sequence[str], name: str) -> dict[str, CommandRun]:
        """Run commands one after the other in one fresh worktree.

        Args:
            run: For its id and the sandbox that it asks for.
            oid: The commit to check out.
            commands: Command lines for bash, in the order given.
            name: Part of the worktree's name; two at once need two names.

        Returns:
            What became of each command.
        """
        level = self._sandbox.choose(run.options.sandbox, await self._sandbox.probe())
        async with self._scratch(run, oid, name) as (worktree, home):
            confined = level is not SandboxLevel.NONE
            around = await self._surroundings.prepare(worktree, home, commands, confined=confined)
            return {command: await self._run_one(command, worktree, home, around, level) for command in commands}

    @contextlib.asynccontextmanager
    async def _scratch(self, run: Run, oid: str, name: str) -> AsyncIterator[tuple[Path, Path]]:
        path = self._scratch_dir / f"{run.run}-{name}"
        worktree = await self._repository.add_scratch(path, oid)
        try:
            with tempfile.TemporaryDirectory(prefix="qa-home-", dir=self._scratch_dir) as home:
                yield worktree.path, Path(home)
        finally:
            await self._repository.remove_worktree(worktree.path, rescue=None)

    async def _run_one(
        self, command: str, worktree: Path, home: Path, around: Surroundings, level: SandboxLevel
    ) -> CommandRun:
        if obstacles := tuple(item for item in around.obstacles if item.command in (None, command)):
            return CommandRun(ProgramResult(None, "", 0.0), obstacles)
        environment = {**self._environment(home), **around.environment}
        spec = SandboxSpec(
            worktree=worktree,
            cwd=worktree,
            environment=environment,
            read_write=(home,),
            read_only=(self._repository.common_dir, *around.read_only),
            links=around.links,
            keep_environment=True,
            own_session=True,
        )
        argv = self._sandbox.wrap(["bash", "-c", command], spec, level)
        result = await self._programs.run(argv, cwd=worktree, environment=environment, timeout_s=TIMEOUT_S)
        return CommandRun(result, tuple(await self._surroundings.inspect(worktree, home, command)))

    def _environment(self, home: Path) -> dict[str, str]:
        passed = {name: self._environ[name] for name in PASSED_ON if name in self._environ}
        return {
            **passed,
            "HOME": str(home),
            "CI": "1",
            "LANG": passed.get("LANG", "C.UTF-8"),
            "PYTHONDONTWRITEBYTECODE": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "PATH": passed.get("PATH", os.defpath),
        }
