"""FINAL-QA: run the project's own commands on the composed tree, and on the base where they fail (FLOW-7)."""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

from aegis_tui.domain.qa.obstacle import Obstacle
from aegis_tui.domain.qa.result import QaResult, blame, new_failures, read_result
from aegis_tui.domain.run import Run
from aegis_tui.domain.run_event import QaCheck
from aegis_tui.ports.program import ProgramResult, ProgramRunner
from aegis_tui.ports.repository import Repository
from aegis_tui.ports.sandbox import Sandbox, SandboxSpec
from aegis_tui.ports.surroundings import QaEnvironment, Surroundings
from aegis_tui.services.instances import PASSED_ON

TIMEOUT_S = 1800.0
"""The longest one command may take."""

TAIL_CHARACTERS = 8_000


def commands_of(run: Run) -> tuple[str, ...]:
    """The commands that decide: the design's, else what was detected."""
    if run.design is not None and run.design.qa is not None:
        return tuple(run.design.qa.commands)
    return run.facts.qa_commands


class BareEnvironment:
    """A `QaEnvironment` with nothing beside the worktree."""

    async def prepare(self, worktree: Path, home: Path, commands: Sequence[str]) -> Surroundings:
        """Make nothing ready."""
        return Surroundings()

    async def inspect(self, worktree: Path, home: Path, command: str) -> Sequence[Obstacle]:
        """Find nothing."""
        return ()


class Quality:
    """Runs QA in a scratch worktree, inside the sandbox, and reads the result as a difference against the base."""

    def __init__(
        self,
        *,
        repository: Repository,
        sandbox: Sandbox,
        programs: ProgramRunner,
        scratch_dir: Path,
        environ: Mapping[str, str],
        surroundings: QaEnvironment | None = None,
    ) -> None:
        self._repository, self._sandbox, self._programs = repository, sandbox, programs
        self._surroundings = surroundings or BareEnvironment()
        self._scratch_dir, self._environ = scratch_dir, environ

    async def judge(self, run: Run, oid: str) -> dict[str, object]:
        """Run every command on the composed commit.

        Returns:
            `tree`, `checks`, `blamed` and `finished_unix`, as `qa:mark-finished` takes them.
        """
        commands = commands_of(run)
        now = await self._run_all(run, oid, commands, "composed")
        failing = [command for command in commands if now[command].exit_code != 0]
        base = await self._run_all(run, run.facts.base_oid, failing, "base") if failing else {}
        checks = tuple(_check(command, now[command], base.get(command)) for command in commands)
        outputs = [now[check.command].output for check in checks if not check.ok]
        return {
            "tree": await self._repository.tree_of(oid),
            "checks": checks,
            "blamed": tuple(blame(run, outputs, {piece.name: piece.files for piece in run.pieces.values()})),
            "finished_unix": int(time.time()),
        }

    async def _run_all(self, run: Run, oid: str, commands: Sequence[str], name: str) -> dict[str, ProgramResult]:
        async with self._scratch(run, oid, name) as (worktree, home):
            around = await self._surroundings.prepare(worktree, home, commands)
            return {command: await self._run_one(run, command, worktree, home, around) for command in commands}

    @contextlib.asynccontextmanager
    async def _scratch(self, run: Run, oid: str, name: str) -> AsyncIterator[tuple[Path, Path]]:
        path = self._scratch_dir / f"{run.run}-{name}"
        worktree = await self._repository.add_scratch(path, oid)
        try:
            with tempfile.TemporaryDirectory(prefix="qa-home-", dir=self._scratch_dir) as home:
                yield worktree.path, Path(home)
        finally:
            await self._repository.remove_worktree(worktree.path, rescue=None)

    async def _run_one(self, run: Run, command: str, worktree: Path, home: Path, around: Surroundings) -> ProgramResult:
        if obstacles := [item for item in around.obstacles if item.command in (None, command)]:
            return _not_run(obstacles)
        level = self._sandbox.choose(run.options.sandbox, await self._sandbox.probe())
        environment = {name: self._environ[name] for name in PASSED_ON if name in self._environ}
        environment |= {
            "HOME": str(home),
            "CI": "1",
            "LANG": environment.get("LANG", "C.UTF-8"),
            "PYTHONDONTWRITEBYTECODE": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "PATH": environment.get("PATH", os.defpath),
            **around.environment,
        }
        spec = SandboxSpec(
            worktree=worktree,
            cwd=worktree,
            environment=environment,
            read_write=(home,),
            read_only=(self._repository.common_dir, *around.read_only),
            keep_environment=True,
            own_session=True,
        )
        argv = self._sandbox.wrap(["bash", "-c", command], spec, level)
        result = await self._programs.run(argv, cwd=worktree, environment=environment, timeout_s=TIMEOUT_S)
        met = await self._surroundings.inspect(worktree, home, command)
        return _not_run(met) if met else result


def _not_run(obstacles: Sequence[Obstacle]) -> ProgramResult:
    return ProgramResult(None, "\n".join(f"{item.reason}: {item.remedy}" for item in obstacles), 0.0)


def _check(command: str, now: ProgramResult, base: ProgramResult | None) -> QaCheck:
    result = read_result(now.exit_code, now.output)
    before: QaResult | None = read_result(base.exit_code, base.output) if base else None
    fresh = new_failures(command, result, before)
    return QaCheck(
        check=command.split()[0] if command.split() else command,
        command=command,
        ok=not fresh,
        passed=result.passed,
        failed=result.failed,
        new_failures=fresh,
        duration_s=round(now.duration_s, 3),
        output_tail=now.output[-TAIL_CHARACTERS:] if fresh else "",
    )
