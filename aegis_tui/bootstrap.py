"""The composition root: the only module that picks adapters for ports."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import shutil
from collections.abc import AsyncIterator, Awaitable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from aegis_tui.adapters.assess_apart import assess_apart
from aegis_tui.adapters.disk import FolderMeter
from aegis_tui.adapters.environment.project import ProjectEnvironment
from aegis_tui.adapters.gateway_process import GatewayProcess, link_socket
from aegis_tui.adapters.git.describe import describe_commit, list_files
from aegis_tui.adapters.git.environment import agent_git_environment, without_relative_places
from aegis_tui.adapters.git.folder import find_scratch_of_the_dead
from aegis_tui.adapters.git.repository import open_repository
from aegis_tui.adapters.leftovers import find_leftovers
from aegis_tui.adapters.llm.key import KEY_VARIABLE, ModelKey
from aegis_tui.adapters.llm.probe import probe_endpoint
from aegis_tui.adapters.llm.trial import try_model
from aegis_tui.adapters.program import SubprocessRunner
from aegis_tui.adapters.result_files import LocalResultFiles
from aegis_tui.adapters.sandbox.bubblewrap import BubblewrapSandbox
from aegis_tui.adapters.store.reader import LogReader
from aegis_tui.adapters.store.sqlite_log import SqliteEventLog
from aegis_tui.adapters.symbols.reader import FileSymbols
from aegis_tui.adapters.tmux.config import folder_problem
from aegis_tui.adapters.tmux.terminal import TmuxTerminal
from aegis_tui.agent.role import SHIPPED
from aegis_tui.config import Limits, QaSettings, Settings, load_settings
from aegis_tui.domain.command import AnyCommand, RunStart
from aegis_tui.domain.decision import Actor
from aegis_tui.domain.file_name import write_name
from aegis_tui.domain.ids import instance_id
from aegis_tui.errors import AegisError, TerminalUnavailable, UsageError
from aegis_tui.hub.engine import Engine
from aegis_tui.hub.record import only_hub, set_gateway
from aegis_tui.hub.recovery import recover
from aegis_tui.hub.regions import RegionService
from aegis_tui.hub.run import main_hub
from aegis_tui.hub.watching import WatchService
from aegis_tui.ports.event_log import EventLog
from aegis_tui.ports.repository import Ref, Repository, WorktreeEntry
from aegis_tui.ports.sandbox import Sandbox
from aegis_tui.ports.surroundings import QaEnvironment
from aegis_tui.sdk.discovery import WorkspacePaths, workspace_paths
from aegis_tui.sdk.private_file import write_private
from aegis_tui.services.disk_watch import DiskWatch
from aegis_tui.services.doctor import Doctor
from aegis_tui.services.instances import InstanceKeeper, Places
from aegis_tui.services.integrate import Integrator
from aegis_tui.services.last_screen import LastScreens, plain_lines
from aegis_tui.services.leftovers import Leftovers
from aegis_tui.services.objection import objection
from aegis_tui.services.preflight import Preflight
from aegis_tui.services.qa import Quality
from aegis_tui.services.qa_outputs import QaOutputs
from aegis_tui.services.qa_run import QaRunner
from aegis_tui.services.setup import Setup
from aegis_tui.services.workflow import Parts, Workflow

_log = logging.getLogger(__name__)
_INSTANCE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


@dataclass(frozen=True, slots=True)
class Transcript:
    """What an instance showed, without colours."""

    instance_id: str
    lines: tuple[str, ...]
    has_ended: bool


class WorkflowService:
    """The workflow as a service of the hub process."""

    def __init__(self, root: Path, environ: Mapping[str, str], limits: Limits) -> None:
        self._root, self._key, self._limits = root, ModelKey(environ), limits
        self._environ = {name: value for name, value in environ.items() if name != KEY_VARIABLE}
        self._workflow: Workflow | None = None
        self._preflight: Preflight | None = None
        self._ready = asyncio.Event()
        self._sockets_dir: Path | None = None

    async def start(self, engine: Engine, paths: WorkspacePaths) -> None:
        """Go on with what the log says is open."""
        repository = await open_repository(self._root)
        await asyncio.to_thread(_tidy, paths, self._root)
        await leftovers_of(repository, paths).clear_scratch()
        sandbox = BubblewrapSandbox(self._environ, self._limits)
        surroundings = ProjectEnvironment(repository.root, repository.common_dir, self._environ)
        sockets_dir = self._sockets_dir = paths.runtime_dir / "agents"
        link_socket(paths.hub_socket, sockets_dir)
        places = _places(paths, sockets_dir)
        terminal = TmuxTerminal(
            f"aegis-{paths.key}",
            config_dir=_folder(paths.state_dir / "tmux"),
            environment={**self._environ, "AEGIS_STATE_DIR": str(paths.state_dir)},
        )
        keeper = InstanceKeeper(
            repository=repository,
            terminal=terminal,
            sandbox=sandbox,
            places=places,
            key=paths.key,
            environ=self._environ,
            git_environment=agent_git_environment(),
            surroundings=surroundings,
        )
        parts = Parts(
            terminal=terminal,
            keeper=keeper,
            integrator=Integrator(repository),
            quality=self._quality(repository, sandbox, surroundings, places.scratch_dir, paths.state_dir),
            gateway=self._gateway(paths, sockets_dir),
            describe_commit=partial(describe_commit, repository.common_dir),
            disks=DiskWatch(FolderMeter(), self._limits.disk_mb * 1024 * 1024),
        )
        self._preflight = Preflight(
            repository=repository,
            sandbox=sandbox,
            probe_endpoint=partial(probe_endpoint, find_key=self._key.read),
            list_files=partial(list_files, repository.common_dir),
            port=engine,
            try_model=partial(try_model, find_key=self._key.read),
            state_dir=paths.state_dir,
            find_warnings=lambda: self._key.warnings(self._root),
        )
        self._workflow = Workflow(parts, engine)
        await self._workflow.start()
        self._ready.set()

    def _gateway(self, paths: WorkspacePaths, sockets_dir: Path) -> GatewayProcess:
        find_key_file = partial(self._key.file, paths.runtime_dir)
        return GatewayProcess(paths, sockets_dir, partial(set_gateway, paths), find_key_file=find_key_file)

    def _quality(
        self, repository: Repository, sandbox: Sandbox, surroundings: QaEnvironment, scratch_dir: Path, state_dir: Path
    ) -> Quality:
        runner = QaRunner(
            repository=repository,
            sandbox=sandbox,
            programs=SubprocessRunner(),
            scratch_dir=scratch_dir,
            environ=self._environ,
            surroundings=surroundings,
            result_files=LocalResultFiles(),
            limits=self._limits,
        )
        return Quality(
            repository=repository,
            runner=runner,
            outputs=QaOutputs(_folder(state_dir / "qa")),
            timeout_s=partial(_qa_timeout_s, self._environ, self._root),
            read=assess_apart,
        )

    async def stop(self) -> None:
        """End the loops; what runs in panes goes on."""
        if self._workflow is not None:
            await self._workflow.stop()
        if self._sockets_dir is not None:
            (self._sockets_dir / "hub.sock").unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                self._sockets_dir.rmdir()

    def prepare(self, command: AnyCommand, actor: Actor) -> Awaitable[AnyCommand] | None:
        """Fill in a `run:start` by looking at the machine."""
        if actor.kind == "instance" or not isinstance(command, RunStart):
            return None
        return self._complete(command)

    async def _complete(self, command: RunStart) -> RunStart:
        await self._ready.wait()
        if self._preflight is None:
            return command
        return await self._preflight.complete(command.model_copy(update={"run": None, "facts": None}))


def _places(paths: WorkspacePaths, sockets_dir: Path) -> Places:
    logs, scratch = _folder(paths.hub_log.parent), _folder(paths.state_dir / "scratch")
    return Places(paths.instances_dir, paths.worktrees_dir, scratch, sockets_dir, logs)


def _tidy(paths: WorkspacePaths, root: Path) -> None:
    """Note which repository the workspace belongs to, and remove what killed processes left; blocking."""
    write_private(paths.state_dir / "root", f"{write_name(str(root))}\n")
    for folder in find_scratch_of_the_dead():
        shutil.rmtree(folder, ignore_errors=True)


def _qa_timeout_s(environ: Mapping[str, str], root: Path) -> float:
    """The setting as it is now; its default where the settings cannot be read, which other commands complain about."""
    try:
        return load_settings(environ, project=root).qa.timeout_s
    except UsageError as error:
        _log.warning("settings cannot be read", extra={"reason": error.message})
        return QaSettings().timeout_s


def _folder(path: Path) -> Path:
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def serve_hub(root: Path) -> int:
    """Run the hub of the repository at `root` in this process; returns its exit code."""
    settings = load_settings(os.environ, project=root)
    if settings.port is not None and not os.environ.get("AEGIS_PORT"):
        os.environ["AEGIS_PORT"] = str(settings.port)
    os.environ["AEGIS_ORPHAN_S"] = f"{settings.orphan_s:g}"
    for name in os.environ.keys() - (kept := without_relative_places(os.environ)).keys():
        del os.environ[name]
    os.environ.update(kept)
    environ = {name: value for name, value in os.environ.items() if name != "AEGIS_INSTANCE"}
    regions = RegionService(root, FileSymbols())
    os.environ.pop(KEY_VARIABLE, None)  # no program that the hub starts inherits the model server's key
    return main_hub(root, services=[regions, WorkflowService(root, environ, settings.limits), WatchService(root)])


@contextlib.asynccontextmanager
async def open_stopped_log(paths: WorkspacePaths) -> AsyncIterator[EventLog]:
    """The log of a workspace whose hub does not run; none can start while this is open.

    Raises:
        HubUnavailable: The hub runs after all.
        StoreError: The log is damaged.
        UsageError: There is no log.
    """
    if not paths.log_db.exists():
        raise UsageError("nothing was ever logged for this repository", "start something: aegis-tui run GOAL")
    with only_hub(paths):
        log = SqliteEventLog(paths.log_db)
        await log.open()
        try:
            yield log
        finally:
            await log.close()


def log_reader(paths: WorkspacePaths) -> LogReader:
    """A look into the log of a workspace that needs no hub and changes nothing.

    Raises:
        UsageError: There is no log.
    """
    return LogReader(paths.log_db)


def read_transcript(paths: WorkspacePaths, name: str) -> Transcript:
    """What an instance shows in its pane, or showed before it ended.

    Raises:
        UsageError: It has shown nothing, or there was no such instance.
    """
    short = instance_id(name)
    if _INSTANCE_NAME.fullmatch(short) is None:
        raise UsageError(f"{name} is no name of an instance", "for example w01; aegis-tui report names those of a run")
    try:
        return Transcript(
            short, tuple((paths.state_dir / "logs" / f"{short}.log").read_text("utf-8").splitlines()), True
        )
    except OSError:
        lines = asyncio.run(_lines_now(paths, short))
    if not lines:
        raise UsageError(f"nothing is kept of {short}", "aegis-tui report names the instances of a run")
    return Transcript(short, tuple(lines), False)


async def _lines_now(paths: WorkspacePaths, instance: str) -> list[str]:
    terminal = TmuxTerminal(f"aegis-{paths.key}", config_dir=paths.state_dir / "tmux", environment=dict(os.environ))
    lines = "\n".join(plain_lines(await LastScreens(terminal, paths.state_dir / "logs").lines(instance)))
    return lines.strip("\n").splitlines()


async def describe_commit_at(root: Path, oid: str) -> dict[str, Any]:
    """What git says of a commit of the repository at `root`: subject, files, trailers."""
    repository = await open_repository(root)
    return await describe_commit(repository.common_dir, oid)


async def refs_at(root: Path, prefix: str) -> tuple[Ref, ...]:
    """The refs below a prefix in the repository at `root`."""
    return await (await open_repository(root)).list_refs(prefix)


def attach_argv(paths: WorkspacePaths, instance: str, *, read_only: bool, environ: Mapping[str, str]) -> list[str]:
    """The program that hands a terminal to an instance's pane, from outside or inside another tmux."""
    terminal = TmuxTerminal(f"aegis-{paths.key}", config_dir=paths.state_dir / "tmux", environment=dict(environ))
    return terminal.attach_argv(instance, read_only=read_only, environ=environ)


async def close_workspace(paths: WorkspacePaths, environ: Mapping[str, str]) -> None:
    """End the gateway and every pane of a workspace whose hub is gone; for places that are about to be removed."""
    await GatewayProcess(paths, paths.runtime_dir / "agents", lambda url, socket: None).close()
    terminal = TmuxTerminal(f"aegis-{paths.key}", config_dir=paths.state_dir / "tmux", environment=dict(environ))
    await terminal.stop_server()


async def close_idle_workspace(paths: WorkspacePaths, environ: Mapping[str, str]) -> bool:
    """End the gateway and the tmux server of a workspace whose hub is gone; False when an agent still lives in a pane.

    Raises:
        TerminalError: tmux does not answer.
    """
    terminal = TmuxTerminal(f"aegis-{paths.key}", config_dir=paths.state_dir / "tmux", environment=dict(environ))
    if terminal.socket_path.exists():
        with contextlib.suppress(TerminalUnavailable):
            if any(not pane.dead for pane in await terminal.list_panes()):
                return False
        await terminal.stop_server()
    await GatewayProcess(paths, paths.runtime_dir / "agents", lambda url, socket: None).close()
    return True


async def leftovers_at(root: Path, paths: WorkspacePaths) -> Leftovers:
    """What looks for what nobody owns in the workspace of the repository at `root`."""
    return leftovers_of(await open_repository(root), paths)


def leftovers_of(repository: Repository, paths: WorkspacePaths) -> Leftovers:
    """As `leftovers_at`, for a repository that is open."""
    return Leftovers(
        repository,
        worktrees_dir=paths.worktrees_dir,
        scratch_dir=paths.state_dir / "scratch",
        find_scratch=find_scratch_of_the_dead,
    )


async def worktrees_at(root: Path, paths: WorkspacePaths) -> list[WorktreeEntry]:
    """The worktrees of instances that git knows in the repository at `root`."""
    entries = await (await open_repository(root)).list_worktrees()
    return [entry for entry in entries if entry.instance and entry.path.parent == paths.worktrees_dir]


async def open_instances(paths: WorkspacePaths) -> list[dict[str, Any]]:
    """The instances of the run that a workspace without a hub would go on with; empty when none is open."""
    async with open_stopped_log(paths) as log:
        workspace = await recover(log, now=0.0)
    run = workspace.runs.current()
    return [] if run is None else [instance.model_dump(mode="json") for instance in workspace.instances.of_run(run.run)]


async def _repository_problem(folder: Path) -> AegisError | None:
    """Why no run can work in the repository of a folder; None where one can, as far as can be seen beforehand."""
    try:
        return objection(await (await open_repository(folder)).condition())
    except AegisError as error:
        return error


def make_doctor(settings: Settings, folder: Path, environ: Mapping[str, str], *, proc: Path = Path("/proc")) -> Doctor:
    """What looks at this machine, from the folder where the person is."""
    from aegis_tui.adapters.llm.openai import OpenAIChat  # brings httpx, and every hub imports this module

    key = ModelKey(environ)
    return Doctor(
        programs=SubprocessRunner(),
        sandbox=BubblewrapSandbox(environ, settings.limits),
        probe_endpoint=partial(probe_endpoint, find_key=key.read),
        open_model=lambda url: OpenAIChat(url, attempts=1, api_key=key.read()),
        try_model=partial(try_model, find_key=key.read),
        find_key_warnings=lambda: key.warnings(folder),
        find_tmux_problem=lambda: folder_problem(environ.get("TMUX_TMPDIR"), f"aegis-{'0' * 12}"),
        find_repository_problem=_repository_problem,
        settings=settings,
        environ=environ,
        folder=folder,
        state_dir=workspace_paths("doctor", environ).state_dir.parent,
        find_leftovers=partial(find_leftovers, environ),
        proc=proc,
    )


async def make_setup(root: Path) -> Setup:
    """What sets the repository at `root` up, with the role files that ship."""
    repository = await open_repository(root)
    roles = {path.stem: path.read_text("utf-8") for path in SHIPPED.glob("*.md")}
    return Setup(root, repository.common_dir, roles)
