"""Runs QA commands: scratch worktree, environment, mounts, limits (FLOW-7). `qa` interprets their results."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from aegis_tui.config import Limits
from aegis_tui.domain.environment.setup import input_files
from aegis_tui.domain.qa.assess import ask, tools_of
from aegis_tui.domain.qa.command import script_of
from aegis_tui.domain.qa.obstacle import Obstacle
from aegis_tui.domain.qa.outcome import Outcome
from aegis_tui.domain.qa.readers.base import Asked, CommandPlace, QaReader, script_text
from aegis_tui.domain.qa.trouble import no_script
from aegis_tui.domain.run.model import Run
from aegis_tui.errors import AegisError
from aegis_tui.orchestrator.confinement import source_of
from aegis_tui.orchestrator.instances import PASSED_ON
from aegis_tui.orchestrator.qa_outputs import HEAD_BYTES, TAIL_BYTES
from aegis_tui.ports.program import Bounds, ProgramResult, ProgramRunner
from aegis_tui.ports.repository import Repository, Worktree
from aegis_tui.ports.result_files import ResultFiles
from aegis_tui.ports.sandbox import Sandbox, SandboxLevel, SandboxSpec
from aegis_tui.ports.surroundings import QaEnvironment, Surroundings
from aegis_tui.sdk.whole import whole

_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class CommandRun:
    """How one command ended on one tree, and what it left there."""

    outcome: Outcome
    """How it ended. If it has an obstacle, the check counts as `not_run`; the program may not have been started."""
    tools: tuple[QaReader, ...] = ()
    """The test tools that it is known to start."""
    changed: tuple[str, ...] = ()
    """Tracked files that it changed; they were restored before the next command ran. Not known for the last one."""
    empty: tuple[str, ...] = ()
    """Paths of submodules that are empty in the worktree, because the person's checkout has not initialised them."""
    outdated: tuple[str, ...] = ()
    """Lock files and manifests that differ from those of the base, whose environment it had."""


@dataclass(frozen=True, slots=True)
class RunPlace:
    """A fresh worktree with its surroundings, in which commands are run one after the other."""

    scratch: Worktree
    home: Path
    """The HOME of the commands."""
    around: Surroundings
    level: SandboxLevel


class QaRunner:
    """Runs commands on a tree of the repository, in a scratch worktree that is removed afterwards.

    Args:
        repository: Where the trees come from.
        sandbox: The sandbox that commands run in.
        programs: Runs programs.
        scratch_dir: Where scratch worktrees are created.
        environ: The hub's environment; only `PASSED_ON` of it reaches a command.
        surroundings: Prepares the project's environment.
        limits: How much one command may print and write.
        result_files: Reads the result files that the tools of a command wrote.
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
        result_files: ResultFiles,
        limits: Limits,
    ) -> None:
        self._limits = limits
        self._result_files = result_files
        self._repository, self._sandbox, self._programs = repository, sandbox, programs
        self._surroundings, self._scratch_dir, self._environ = surroundings, scratch_dir, environ

    async def begin(self, run: Run) -> None:
        """Begin to check out the base of a run, in the background, for the first `run_all`; return at once."""
        await self._repository.begin_scratch(self._scratch_dir, run.facts.base_oid)

    async def run_all(self, run: Run, oid: str, limits_s: Mapping[str, float], name: str) -> dict[str, CommandRun]:
        """Run commands one after the other in one fresh worktree.

        Args:
            run: The run; its id, its sandbox option, its base and its environment are used.
            oid: The commit to check out.
            limits_s: Command line for bash -> the seconds that it may take; run in the order given.
            name: Part of the worktree's name; must differ for calls at the same time.

        Returns:
            Command line -> how it ended.

        Raises:
            AegisError: The worktree or the sandbox cannot be set up.
            OSError: The folder for scratch worktrees cannot be written, or a command cannot be started.
        """
        async with self.place(run, oid, list(limits_s), name) as place:
            scratch = place.scratch
            done: dict[str, CommandRun] = {}
            for command, limit_s in limits_s.items():
                if done:
                    last = next(reversed(done))
                    done[last] = replace(done[last], changed=await self._repository.restore_scratch(scratch))
                done[command] = await self._run_one(command, place, limit_s=limit_s)
        outdated = await self._outdated(run, oid)
        return {command: replace(ran, empty=scratch.empty, outdated=outdated) for command, ran in done.items()}

    @contextlib.asynccontextmanager
    async def place(self, run: Run, oid: str, commands: Sequence[str], name: str) -> AsyncIterator[RunPlace]:
        """Yield a fresh worktree of a commit in which commands can be run; it is removed at the end.

        Args:
            run: The run; as for `run_all`.
            oid: The commit to check out.
            commands: The command lines that will run there.
            name: As for `run_all`.

        Raises:
            AegisError: The worktree or the sandbox cannot be set up.
            OSError: The folder for scratch worktrees cannot be written.
        """
        level = self._sandbox.choose(run.options.sandbox, await self._sandbox.probe())
        confined = level is not SandboxLevel.NONE
        async with self._scratch(run, oid, name, reuse=confined) as (scratch, home):
            mounts = await self._repository.git_mounts(scratch)
            prepared = self._surroundings.prepare(
                scratch.path, home, commands, confined=confined, source=source_of(run)
            )
            around = await whole(prepared)
            around = replace(around, read_only=(mounts.common_dir, *mounts.read_only, *around.read_only))
            yield RunPlace(scratch, home, around, level)

    async def run_program(self, place: RunPlace, argv: Sequence[str], *, folder: Path, limit_s: float) -> ProgramResult:
        """Run one program in a place, in the sandbox of the run and without a network; return how it ended.

        Args:
            place: From `place`.
            argv: The program and its arguments.
            folder: Where it starts: the worktree or a folder of it.
            limit_s: The seconds that it may take.

        Raises:
            OSError: It cannot be started.
        """
        environment = {**self._environment(place.home), **place.around.environment}
        return await self._run_in(place, argv, environment, folder=folder, limit_s=limit_s)

    async def _run_in(
        self, place: RunPlace, argv: Sequence[str], environment: Mapping[str, str], *, folder: Path, limit_s: float
    ) -> ProgramResult:
        worktree, home = place.scratch.path, place.home
        spec = SandboxSpec(
            worktree=worktree,
            cwd=folder,
            environment=environment,
            read_write=(home,),
            read_only=place.around.read_only,
            links=place.around.links,
            keep_environment=True,
            own_session=True,
        )
        return await self._programs.run(
            self._sandbox.wrap(list(argv), spec, place.level),
            cwd=worktree,
            environment=environment,
            timeout_s=limit_s,
            head_bytes=HEAD_BYTES,
            tail_bytes=TAIL_BYTES,
            bounds=Bounds(
                self._limits.output_mb * _MIB, folders=(worktree, home), disk_bytes=self._limits.disk_mb * _MIB
            ),
        )

    async def _outdated(self, run: Run, oid: str) -> tuple[str, ...]:
        """Return the lock files and manifests that differ from the base's; empty for the base itself.

        Raises:
            GitError: git fails.
        """
        if oid == run.facts.base_oid:
            return ()
        changed = await self._repository.changed_paths(run.facts.base_oid, oid)
        return input_files(run.facts.environment.setup, [item.path for item in changed])

    async def fingerprint(self, run: Run) -> str:
        """Return a hash of what a result depends on besides the tree and the command, 64 hexadecimal digits.

        That is the environment variables, the sandbox option, and the installed software that commands use.

        Args:
            run: The run; its sandbox option, its base and its environment are used.

        Raises:
            GitError: git fails.
        """
        installed = await self._surroundings.stamp(source_of(run))
        parts = (*self._environment(Path("HOME")).items(), ("sandbox", run.options.sandbox), installed)
        return hashlib.sha256(repr(parts).encode("utf-8", "surrogatepass")).hexdigest()

    @contextlib.asynccontextmanager
    async def _scratch(self, run: Run, oid: str, name: str, *, reuse: bool) -> AsyncIterator[tuple[Worktree, Path]]:
        path = self._scratch_dir / f"{run.run}-{name}"
        try:
            worktree = await whole(self._repository.add_scratch(path, oid))
        except BaseException:
            with contextlib.suppress(AegisError):
                await whole(self._repository.remove_worktree(path, rescue=None))
            raise
        try:
            home = Path(tempfile.mkdtemp(prefix="qa-home-", dir=self._scratch_dir))
            try:
                yield worktree, home
            finally:
                await whole(asyncio.to_thread(shutil.rmtree, home, ignore_errors=True))
        finally:
            await whole(self._repository.remove_worktree(worktree.path, rescue=None, reuse=reuse))

    async def _run_one(self, command: str, at: RunPlace, *, limit_s: float) -> CommandRun:
        worktree, home, around = at.scratch.path, at.home, at.around
        place, since_ns = self._place(worktree, home)
        known = tuple(item for item in around.obstacles if item.command in (None, command))
        if obstacles := known or _lacks(command, place):
            return CommandRun(Outcome(None, "", obstacles=obstacles))
        asked = ask(command, place)
        environment = _joined({**self._environment(home), **around.environment}, asked)
        argv = ["bash", "-c", asked.command]
        result = await self._run_in(at, argv, environment, folder=worktree, limit_s=limit_s)
        outcome = Outcome(
            result.exit_code,
            result.output,
            await self._result_files.collect(asked.files, root=worktree, since_ns=since_ns),
            (*_stopped(result, command), *await self._surroundings.inspect(worktree, home, command)),
            root=str(worktree),
            timeout_s=limit_s,
            duration_s=result.duration_s,
        )
        return CommandRun(outcome, tools_of(command, place))

    def _place(self, worktree: Path, home: Path) -> tuple[CommandPlace, int]:
        """Create an empty folder in `home` for the result files of one command.

        Returns:
            What the readers of results may know about the place of the command, and the folder's time of change in
            nanoseconds: files of the worktree that are older were not written by the command.

        Raises:
            OSError: The folder cannot be created.
        """
        results = tempfile.mkdtemp(prefix=".qa-results-", dir=home)
        since_ns = Path(results).stat().st_mtime_ns
        return CommandPlace(results, lambda name: self._result_files.read_text(worktree, name)), since_ns

    def _environment(self, home: Path) -> dict[str, str]:
        passed = {name: self._environ[name] for name in PASSED_ON if name in self._environ}
        return {
            **passed,
            "HOME": str(home),
            "CI": "1",
            "LANG": passed.get("LANG", "C.UTF-8"),
            "PYTHONDONTWRITEBYTECODE": "1",
            # The report of a command that hangs shows its last lines, so they must not stay in a buffer.
            "PYTHONUNBUFFERED": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "PATH": passed.get("PATH", os.defpath),
        }


def _stopped(result: ProgramResult, command: str) -> tuple[Obstacle, ...]:
    """Return the bound that a command was ended for exceeding, as an obstacle; empty if it was not."""
    if not result.stopped:
        return ()
    remedy = "raise the limit in [limits] of your configuration, or make the command use less"
    return (Obstacle(kind="killed", reason=f"it was ended: {result.stopped}", remedy=remedy, command=command),)


def _lacks(command: str, place: CommandPlace) -> tuple[Obstacle, ...]:
    """Return an obstacle if a command runs a package script that the worktree's package.json does not have.

    Empty if it has the script, if the command runs none, or without the file. npm itself may not report this.
    """
    script = script_of(command)
    if script is None or not place.read("package.json") or script_text(place, script) is not None:
        return ()
    return (no_script(script),)


def _joined(environment: Mapping[str, str], asked: Asked) -> dict[str, str]:
    """Return the environment with the variables that the readers of test results ask for added.

    If one is set already, its value is kept, and theirs appended to it after a space.
    """
    added = {name: f"{environment.get(name, '')} {value}".strip() for name, value in asked.environment.items()}
    return {**environment, **added}
