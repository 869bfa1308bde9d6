"""The environment of a run's worktrees: what is planned before it starts, and the set-up command (GIT-1, FLOW-7).

The set-up command comes from the person's or the project's settings. It runs only after the person allowed it for the
present content of the files that decide what it does, in the sandbox, and with the network only if it may.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from aegis_tui.config import EnvironmentSettings, Limits
from aegis_tui.domain.environment.model import MOST_NAMED, EnvironmentPlan, MadeFacts
from aegis_tui.domain.environment.needs import needs_of, wanted_files
from aegis_tui.domain.environment.setup import input_files, setup_key
from aegis_tui.domain.environment.suggest import suggest_setup
from aegis_tui.domain.inert import inert
from aegis_tui.domain.qa.detectors import detect_qa
from aegis_tui.domain.qa.detectors import wanted_files as qa_files
from aegis_tui.domain.run.model import Run
from aegis_tui.errors import AegisError, Refused, SetupFailed
from aegis_tui.orchestrator.instances import PASSED_ON
from aegis_tui.orchestrator.objection import SPARE_BYTES
from aegis_tui.ports.prepared_environment import EnvironmentSurvey, MadeEnvironment, PreparedEnvironments, SetupPlace
from aegis_tui.ports.program import Bounds, ProgramResult, ProgramRunner
from aegis_tui.ports.repository import Repository
from aegis_tui.ports.sandbox import Sandbox, SandboxLevel, SandboxSpec
from aegis_tui.sdk.whole import whole

_log = logging.getLogger(__name__)

PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "no_proxy", "all_proxy")
"""Variables that a set-up command with the network inherits besides `PASSED_ON`."""

_SYSTEM_SETTINGS = ("/etc/pip.conf", "/etc/xdg/pip", "/etc/npmrc", "/usr/etc/npmrc", "/etc/uv")
_LOG_BYTES = 4 * 1024 * 1024
_MIB = 1024 * 1024

FindSettings = Callable[[], EnvironmentSettings]
"""Returns the present settings; reads files."""

ListFiles = Callable[[str], Awaitable[dict[str, str]]]
"""Takes a commit; returns tracked path -> blob id of its files."""


class EnvironmentPlanner:
    """Finds out before a run what its worktrees will have besides the tracked files.

    Args:
        find_settings: Returns the present settings; reads files.
        list_files: Lists the tracked files of a commit.
        read_blob: Returns the content of a blob.
        survey: Tells what the person's checkout provides.
        is_allowed: Returns whether the person allowed the set-up of a key; reads a file.
    """

    def __init__(
        self,
        *,
        find_settings: FindSettings,
        list_files: ListFiles,
        read_blob: Callable[[str], Awaitable[bytes]],
        survey: EnvironmentSurvey,
        is_allowed: Callable[[str], bool],
    ) -> None:
        self._find_settings, self._list_files, self._read_blob = find_settings, list_files, read_blob
        self._survey, self._is_allowed = survey, is_allowed

    async def plan(self, oid: str, level: SandboxLevel) -> EnvironmentPlan:
        """Return the plan for the worktrees of a base commit; no set-up command is run, and nothing written.

        It names the set-up command, if one is set, with its key; else the environment folders of the checkout and
        sentences on what is missing there. In both cases it names the files to copy: the first 20 of them, and how many
        they are.

        Args:
            oid: The base.
            level: How commands are isolated.

        Raises:
            Refused: The set-up command waits for the person's permission (code `environment.consent`), or would have
                the network without it; or more would be copied than is allowed.
            UsageError: A setting is wrong.
            GitError: git fails.
            OSError: A file cannot be read, or a folder cannot be searched.
        """
        settings = await asyncio.to_thread(self._find_settings)
        files = await self._list_files(oid)
        plan = self.setup_of(settings, files)
        if plan.setup and not await asyncio.to_thread(self._is_allowed, plan.key):
            raise not_allowed(plan)
        if plan.setup and level is SandboxLevel.NONE and not plan.network:
            raise Refused(
                "without a sandbox the set-up command could use the network, which environment.network does not allow",
                "set environment.network = true and allow it, or install bubblewrap",
                code="environment.network",
            )
        included = await self._survey.included(oid)
        places = await asyncio.to_thread(self._survey.places)
        return plan.model_copy(
            update={
                "places": () if plan.setup else places,
                "included": included[:MOST_NAMED],
                "included_count": len(included),
                "missing": () if plan.setup else tuple(await self.missing(files)),
            }
        )

    def setup_of(self, settings: EnvironmentSettings, files: Mapping[str, str]) -> EnvironmentPlan:
        """Return a plan with only what a person allows: set-up command, network, key, and the lock files it depends on.

        An empty plan if no command is set.

        Args:
            settings: The settings.
            files: Tracked path -> blob id of the base.
        """
        command = (settings.setup or "").strip()
        if not command:
            return EnvironmentPlan()
        inputs = input_files(command, files)
        key = setup_key(command, {path: files[path] for path in inputs}, network=settings.network)
        return EnvironmentPlan(setup=command, network=settings.network, key=key, inputs=inputs)

    async def missing(self, files: Mapping[str, str]) -> list[str]:
        """Return what the project needs and the person's checkout does not provide, one sentence each.

        Empty if nothing.

        Args:
            files: Tracked path -> blob id of the base.

        Raises:
            GitError: git fails.
            OSError: The checkout cannot be searched, or a package's name is too long for a file.
        """
        read = await self._reader(files)
        needs = needs_of(files, read, checks=detect_qa(files, read))
        words = [await asyncio.to_thread(self._survey.missing, need) for need in needs]
        return [sentence for sentence in dict.fromkeys(words) if sentence]

    async def suggest(self, files: Mapping[str, str]) -> str:
        """Return a set-up command that may make the project's environment; empty if its files name none.

        Args:
            files: Tracked path -> blob id of the base.

        Raises:
            GitError: git fails.
        """
        read = await self._reader(files)
        return suggest_setup(files, read, checks=detect_qa(files, read))

    async def _reader(self, files: Mapping[str, str]) -> Callable[[str], str]:
        names = dict.fromkeys([*wanted_files(files), *qa_files(files)])
        texts = {name: (await self._read_blob(files[name])).decode("utf-8", "replace") for name in names}
        return lambda name: texts.get(name, "")


class EnvironmentMaker:
    """Runs the set-up command of a run, once for each base and content of its lock files.

    Args:
        repository: The workspace's repository.
        sandbox: The sandbox that the command runs in.
        programs: Runs programs.
        environ: The hub's environment.
        prepared: Keeps what the command makes.
        find_settings: Returns the present settings; reads files.
        limits: How much the command may print and write.
        spare_bytes: How much disk space the command must leave, because a run cannot go on without.
    """

    def __init__(
        self,
        *,
        repository: Repository,
        sandbox: Sandbox,
        programs: ProgramRunner,
        environ: Mapping[str, str],
        prepared: PreparedEnvironments,
        find_settings: FindSettings,
        limits: Limits,
        spare_bytes: int = SPARE_BYTES,
    ) -> None:
        self._spare_bytes = spare_bytes
        self._repository, self._sandbox, self._programs = repository, sandbox, programs
        self._environ, self._prepared, self._limits = environ, prepared, limits
        self._find_settings = find_settings

    async def make(self, run: Run) -> MadeFacts | None:
        """Return the facts of a run's environment; None if its plan has no set-up command.

        One that was made for the same command and lock files is used again, if it was made for the files of this base
        or holds only `.venv` and `node_modules`. Otherwise the command runs in the sandbox, and all but the newest few
        (the setting `keep`) are removed afterwards. If it fails, or the task is cancelled, what it made is removed, but
        for its log.

        Raises:
            SetupFailed: The command failed, took too long, or filled the disk; its `log` is the path of the output.
            UsageError: A setting is wrong.
            AegisError: git or the sandbox fails.
            OSError: A file or folder cannot be written.
        """
        plan = run.facts.environment
        if not plan.setup:
            return None
        tree = await self._repository.tree_of(run.facts.base_oid)
        if made := await self._prepared.find(plan.key, tree):
            return _facts(made, is_reused=True, log="")
        settings = await asyncio.to_thread(self._find_settings)
        place = await whole(self._prepared.begin(plan.key, run.facts.base_oid))
        try:
            result = await self._run(run, place, settings)
            made = await whole(
                self._prepared.finish(place, plan.setup, network=plan.network, duration_s=result.duration_s)
            )
        except BaseException:
            await whole(self._prepared.abandon(place))
            raise
        await whole(self._prepared.prune(settings.keep, made.name))
        return _facts(made, is_reused=False, log=str(place.log))

    async def _run(self, run: Run, place: SetupPlace, settings: EnvironmentSettings) -> ProgramResult:
        plan, worktree = run.facts.environment, place.worktree
        level = self._sandbox.choose(run.options.sandbox, await self._sandbox.probe())
        mounts = await self._repository.git_mounts(worktree)
        environment = self._variables(place, plan, settings)
        inherited = {*PROXIES, *settings.pass_on}
        spec = SandboxSpec(
            worktree=worktree.path,
            cwd=worktree.path,
            # What the person passes on may be a secret: it is inherited, and not in the sandbox's arguments.
            environment={name: value for name, value in environment.items() if name not in inherited},
            read_write=(place.home,),
            read_only=(
                mounts.common_dir,
                *mounts.read_only,
                *(path.expanduser() for path in settings.show),
                *map(Path, _SYSTEM_SETTINGS),
            ),
            share_network=plan.network,
            keep_environment=True,
            own_session=True,
        )
        result = await self._programs.run(
            self._sandbox.wrap(["bash", "-c", plan.setup], spec, level),
            cwd=worktree.path,
            environment=environment,
            timeout_s=settings.timeout_s,
            head_bytes=_LOG_BYTES // 2,
            tail_bytes=_LOG_BYTES // 2,
            bounds=Bounds(
                self._limits.output_mb * _MIB,
                folders=(worktree.path, place.home),
                disk_bytes=self._limits.disk_mb * _MIB,
            ),
            follow=LiveLog(place.log).add,
        )
        await self._judge(plan, result, place)
        return result

    async def _judge(self, plan: EnvironmentPlan, result: ProgramResult, place: SetupPlace) -> None:
        """Write the whole log; return if the command succeeded, else raise why its result cannot be used.

        Raises:
            SetupFailed: The command failed, took too long, or filled the disk; then the log stays as it is.
            OSError: The log cannot be written.
        """
        if (await asyncio.to_thread(shutil.disk_usage, place.worktree.path)).free < self._spare_bytes:
            raise _too_full(place.log, self._spare_bytes)
        await asyncio.to_thread(place.log.write_text, result.output, "utf-8", "replace")
        if result.exit_code != 0 or result.stopped:
            raise _failure(plan, result, place.log)

    def _variables(self, place: SetupPlace, plan: EnvironmentPlan, settings: EnvironmentSettings) -> dict[str, str]:
        names = (*PASSED_ON, *(PROXIES if plan.network else ()), *settings.pass_on)
        passed = {name: self._environ[name] for name in names if name in self._environ}
        return {
            "PATH": os.defpath,
            "LANG": "C.UTF-8",
            **passed,
            "HOME": str(place.home),
            "CI": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "PYTHONUNBUFFERED": "1",
        }


class LiveLog:
    """A log file that can be read while a command runs; it ends where it would become too long.

    Args:
        path: The file; replaced.

    Raises:
        OSError: It cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._room = path, _LOG_BYTES // 2
        path.write_bytes(b"")

    def add(self, part: bytes) -> None:
        """Append a part of the output, up to 2 MiB in all; the rest is dropped, and an error of the file ignored."""
        if self._room > 0:
            with contextlib.suppress(OSError), self._path.open("ab") as file:
                file.write(part[: self._room])
            self._room -= len(part)


def not_allowed(plan: EnvironmentPlan) -> AegisError:
    """Return, without raising it, the error for a run whose set-up command waits for the person's permission.

    It is a `Refused` with the code `environment.consent` and the data `setup`, `network`, `inputs` and `key` of the
    plan.
    """
    network = "with the network" if plan.network else "without a network"
    return Refused(
        f"the set-up command is not allowed for the current lock files: {inert(plan.setup)} ({network})",
        "read it, then: aegis-tui environment allow",
        code="environment.consent",
        setup=plan.setup,
        network=plan.network,
        inputs=list(plan.inputs),
        key=plan.key,
    )


def _facts(made: MadeEnvironment, *, is_reused: bool, log: str) -> MadeFacts:
    return MadeFacts(
        name=made.name,
        command=made.command,
        network=made.network,
        reused=is_reused,
        duration_s=made.duration_s,
        copied=made.made[:MOST_NAMED],
        left_out=made.left_out[:MOST_NAMED],
        log=log,
    )


def _too_full(log: Path, spare_bytes: int) -> SetupFailed:
    return SetupFailed(
        f"after the set-up command, less than {spare_bytes // _MIB} MiB of disk space was left; "
        "what it created was removed",
        f"free space on the disk of {log.parent}, or move the state folder with XDG_STATE_HOME",
        log=str(log),
    )


_TELLING = ("ERROR: ", "fatal: ")
"""How the line begins that says why pip or git failed; notes follow it."""


def _failure(plan: EnvironmentPlan, result: ProgramResult, log: Path) -> SetupFailed:
    lines = [line.strip() for line in result.output.splitlines() if line.strip()]
    reason = next((line for line in reversed(lines) if line.startswith(_TELLING)), lines[-1] if lines else "")
    last = f": {inert(reason)[:300]}" if reason else ""
    if result.stopped:
        how = f"was ended: {result.stopped}"
    elif result.exit_code is None:
        how = "took too long"
    else:
        how = f"failed with exit code {result.exit_code}"
    hint = "read its output: aegis-tui environment log"
    if not plan.network:
        hint += "; it has no network unless environment.network is true and you allow it"
    return SetupFailed(f"the set-up command {how}{last}", hint, log=str(log))
