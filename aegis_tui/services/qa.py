"""FINAL-QA: run the project's own commands on the composed tree, and on the base where they fail (FLOW-7)."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from aegis_tui.domain.qa.obstacle import Obstacle
from aegis_tui.domain.qa.result import QaResult, blame, new_failures, read_result
from aegis_tui.domain.run import Run
from aegis_tui.domain.run_event import QaCheck
from aegis_tui.ports.program import ProgramResult, ProgramRunner
from aegis_tui.ports.repository import Repository
from aegis_tui.ports.sandbox import Sandbox
from aegis_tui.ports.surroundings import QaEnvironment
from aegis_tui.services.qa_run import BareEnvironment, QaRunner

TAIL_CHARACTERS = 8_000

NO_CHECK = QaCheck(
    check="none",
    command="none",
    ok=True,
    passed=None,
    failed=None,
    new_failures=(),
    duration_s=0.0,
    output_tail="no command checks the result: the person said so when the run was started",
)
"""What stands in the report in place of a check that the person has waived."""


def commands_of(run: Run) -> tuple[str, ...]:
    """The commands that decide: the design's, else what was detected."""
    if run.design is not None and run.design.qa is not None:
        return tuple(run.design.qa.commands)
    return run.facts.qa_commands


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
        self._repository = repository
        self._runner = QaRunner(
            repository=repository,
            sandbox=sandbox,
            programs=programs,
            scratch_dir=scratch_dir,
            environ=environ,
            surroundings=surroundings or BareEnvironment(),
        )

    async def judge(self, run: Run, oid: str) -> dict[str, object]:
        """Run every command on the composed commit.

        Returns:
            `tree`, `checks`, `blamed` and `finished_unix`, as `qa:mark-finished` takes them.
        """
        commands = commands_of(run)
        if not commands and run.options.unchecked:
            return {
                "tree": await self._repository.tree_of(oid),
                "checks": (NO_CHECK,),
                "blamed": (),
                "finished_unix": int(time.time()),
            }
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
        ran = await self._runner.run_all(run, oid, commands, name)
        return {command: _not_run(one.obstacles) if one.obstacles else one.result for command, one in ran.items()}


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
