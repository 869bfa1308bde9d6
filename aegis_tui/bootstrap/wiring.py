"""Connects the workflow to its adapters. Imported only once the hub serves, because it imports most of them."""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import Coroutine, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from aegis_tui.adapters.agents.installed import describe_kinds, find_kind, find_screen_rules
from aegis_tui.adapters.assess_apart import assess_apart
from aegis_tui.adapters.disk import FolderMeter
from aegis_tui.adapters.gateway_process import GatewayProcess, link_socket
from aegis_tui.adapters.git.commit_hooks import GitCommitHooks
from aegis_tui.adapters.git.describe import describe_commit, list_files
from aegis_tui.adapters.git.environment import agent_git_environment
from aegis_tui.adapters.git.folder import find_scratch_of_the_dead
from aegis_tui.adapters.git.live_trees import GitLiveTrees
from aegis_tui.adapters.git.repository import GitRepository, open_repository
from aegis_tui.adapters.git.rerere import RecordedResolutions
from aegis_tui.adapters.lens_files import find_lens
from aegis_tui.adapters.llm.key import ModelKey
from aegis_tui.adapters.llm.probe import probe_endpoint
from aegis_tui.adapters.llm.trial import try_model
from aegis_tui.adapters.program import SubprocessRunner
from aegis_tui.adapters.result_files import LocalResultFiles
from aegis_tui.adapters.sandbox.bubblewrap import BubblewrapSandbox
from aegis_tui.adapters.tmux.terminal import TmuxTerminal
from aegis_tui.application.leftovers import FindClaimed, Leftovers
from aegis_tui.application.rescue import Rescues
from aegis_tui.bootstrap.checkout import leftovers_of, retention_of
from aegis_tui.bootstrap.environment import EnvironmentWiring
from aegis_tui.bootstrap.layout import describe_layout, describe_surroundings
from aegis_tui.bootstrap.memory import make_memory
from aegis_tui.bootstrap.merge_driver import find_driver
from aegis_tui.bootstrap.rules import rule_check_of
from aegis_tui.config import EnvironmentSettings, Limits, QaSettings, load_settings
from aegis_tui.domain.endpoint import normalise_base_url
from aegis_tui.domain.ids import hash_token
from aegis_tui.domain.instance.model import Phase
from aegis_tui.domain.mcp_server import McpServer
from aegis_tui.domain.path.file_name import write_name
from aegis_tui.domain.workspace import Workspace
from aegis_tui.errors import AegisError, UsageError
from aegis_tui.hub.engine import Engine
from aegis_tui.hub.identity import joining_token
from aegis_tui.hub.record import JOINING_KEY, load_or_create_key, set_gateway, set_gateway_problem
from aegis_tui.hub.workflow import Wired
from aegis_tui.orchestrator.disk_watch import DiskWatch
from aegis_tui.orchestrator.gateway import HashJoined, UsualEndpoint
from aegis_tui.orchestrator.instances import InstanceKeeper, Places
from aegis_tui.orchestrator.integrate import Integrator
from aegis_tui.orchestrator.live import LiveConflicts
from aegis_tui.orchestrator.lockfile_maker import LockfileMaker
from aegis_tui.orchestrator.piece_qa import PieceQa
from aegis_tui.orchestrator.preflight import Preflight
from aegis_tui.orchestrator.proposal import Proposer
from aegis_tui.orchestrator.qa import Quality
from aegis_tui.orchestrator.qa_outputs import QaOutputs
from aegis_tui.orchestrator.qa_run import QaRunner
from aegis_tui.orchestrator.recompose import Recomposer
from aegis_tui.orchestrator.result_hooks import ResultHooks
from aegis_tui.orchestrator.rule_check import RuleCheck
from aegis_tui.orchestrator.screen_watch import ScreenWatch
from aegis_tui.orchestrator.workflow import Workflow, WorkflowParts
from aegis_tui.ports.repository import Repository
from aegis_tui.ports.sandbox import Sandbox
from aegis_tui.ports.surroundings import QaEnvironment
from aegis_tui.sdk.discovery import WorkspacePaths
from aegis_tui.sdk.private_file import write_private

_log = logging.getLogger(__name__)

_MIB = 1024 * 1024


class Wiring:
    """Builds the workflow of one repository.

    Args:
        root: A folder in the repository.
        environ: The hub's environment as programs that it starts may see it, without the model server's key.
        key: The model server's key.
        limits: The limits of every sandbox.
    """

    def __init__(self, root: Path, environ: Mapping[str, str], key: ModelKey, limits: Limits) -> None:
        self._root, self._environ, self._key, self._limits = root, environ, key, limits
        self._warnings: list[str] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def wire(self, engine: Engine, paths: WorkspacePaths) -> Wired:
        """Remove leftovers of killed processes, then return the workflow and its preflight; it is not started yet.

        Deleting saved work that is due begins in the background.

        Args:
            engine: The hub's engine.
            paths: The workspace's folders.

        Raises:
            GitUnavailable: git is missing, or the folder is in no repository.
            GitError: git fails.
            OSError: A folder of the workspace cannot be written.
        """
        repository = await open_repository(self._root, await find_driver(self._environ, self._root))
        await _tidy(repository, paths, self._root)
        self._begin(self._tidy_up(engine, repository, paths))
        sandbox = BubblewrapSandbox(self._environ, self._limits)
        wired = EnvironmentWiring(repository, self._environ, paths, self._environment_settings)
        surroundings = wired.surroundings()
        sockets_dir = paths.runtime_dir / "agents"
        places, terminal = _places(paths, sockets_dir), _terminal(paths, self._environ)
        keeper = InstanceKeeper(
            repository=repository,
            terminal=terminal,
            sandbox=sandbox,
            places=places,
            key=paths.key,
            environ=self._environ,
            git_environment=agent_git_environment(),
            surroundings=surroundings,
            find_kind=find_kind,
            find_servers=partial(_find_servers, self._environ, self._root),
        )
        rules = rule_check_of(repository, self._environ)
        runner = self._runner(repository, sandbox, surroundings, places.scratch_dir)
        quality, hooks = self._quality(repository, runner, paths.state_dir), self._hooks(repository, runner)
        proposer = self._proposer(repository, runner, paths.state_dir)
        screens = ScreenWatch(terminal, engine, find_screen_rules)
        parts = WorkflowParts(
            terminal=terminal,
            keeper=keeper,
            integrator=Integrator(repository, proposer),
            recomposer=Recomposer(repository=repository, composing=repository.batches, quality=quality, hooks=hooks),
            quality=quality,
            rules=rules,
            piece_qa=_piece_qa(repository, quality, proposer),
            gateway=self._gateway(paths, sockets_dir),
            find_endpoint=partial(_usual_endpoint, self._environ, self._root),
            hash_joined=_joined_hash(paths),
            describe_commit=partial(describe_commit, repository.common_dir),
            environments=wired.maker(sandbox, self._limits),
            open_memory=partial(make_memory, paths),
            hooks=hooks,
            describe_surroundings=partial(describe_surroundings, self._root, paths),
            disks=DiskWatch(FolderMeter(), self._limits.disk_mb * 1024 * 1024),
            live=self._live(engine, repository, keeper, runner),
            screens=screens,
        )
        preflight = self._preflight(engine, paths, repository, sandbox, rules, wired)
        return Wired(Workflow(parts, engine), preflight, sockets_dir, screens.answer)

    def _preflight(
        self,
        engine: Engine,
        paths: WorkspacePaths,
        repository: GitRepository,
        sandbox: Sandbox,
        rules: RuleCheck,
        wired: EnvironmentWiring,
    ) -> Preflight:
        return Preflight(
            repository=repository,
            sandbox=sandbox,
            probe_endpoint=partial(probe_endpoint, find_key=self._key.read),
            list_files=partial(list_files, repository.common_dir),
            port=engine,
            try_model=partial(try_model, find_key=self._key.read),
            state_dir=paths.state_dir,
            describe_kinds=partial(describe_kinds, self._environ),
            find_servers=partial(_find_servers, self._environ, self._root),
            find_lens=partial(find_lens, self._root),
            find_warnings=lambda: (*self._key.warnings(self._root), *self._warnings),
            check_rules=partial(self._check_rules, rules),
            plan_environment=wired.planner().plan,
            describe_layout=partial(describe_layout, self._root, paths),
            find_choice=QaOutputs(paths.state_dir / "qa").find_choice,
        )

    def _environment_settings(self) -> EnvironmentSettings:
        return _environment_settings(self._environ, self._root)

    async def _check_rules(self, rules: RuleCheck, oid: str) -> None:
        """Raise `UsageError` if the rules of a commit are not valid; begin to load what applies them (PERF-18)."""
        self._begin(rules.prepare())
        await rules.rules_of(oid)

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _tidy_up(self, engine: Engine, repository: GitRepository, paths: WorkspacePaths) -> None:
        """Delete saved work and unused worktrees, as the settings `[rescue]` and `worktrees.budget_mb` say.

        Saved work is deleted by age, and if it is merged also for want of space; worktrees only for want of space.
        Adds a warning for the person if what is left takes too much space. If git, a setting or the disk prevents a
        part, that is only logged.
        """
        await self._tidy_rescues(repository)
        find_claimed = partial(engine.read, partial(claimed_worktrees, paths.worktrees_dir))
        await self._tidy_worktrees(find_claimed, leftovers_of(repository, paths))

    async def _tidy_rescues(self, repository: GitRepository) -> None:
        """Delete saved work that is due; add a warning for the person if the rest takes too much space.

        An `AegisError` is only logged.
        """
        try:
            settings = load_settings(self._environ, project=self._root)
            if warning := await Rescues(repository.rescues).tidy(retention_of(settings)):
                self._warnings.append(warning)
        except AegisError as error:
            _log.warning("old saved work was not deleted", extra={"reason": error.message})

    async def _tidy_worktrees(self, find_claimed: FindClaimed, leftovers: Leftovers) -> None:
        """Remove unused worktrees while all take more than `worktrees.budget_mb`; warn the person about the rest.

        A failure is only logged.
        """
        try:
            budget_mb = load_settings(self._environ, project=self._root).worktrees.budget_mb
            removed, left = await leftovers.shrink(find_claimed, budget_mb * _MIB)
        except (AegisError, OSError) as error:
            _log.warning("unused worktrees were not removed: %s", error)
            return
        for item in removed:
            _log.info("a worktree was removed to free space", extra={"aegis_path": item.path, "kept": item.kept})
        if left > budget_mb * _MIB:
            self._warnings.append(
                f"worktrees take {left // _MIB} MiB, more than worktrees.budget_mb: "
                "aegis-tui worktree list shows them, aegis-tui worktree repair removes unused ones and saves their work"
            )

    def _gateway(self, paths: WorkspacePaths, sockets_dir: Path) -> GatewayProcess:
        find_key_file = partial(self._key.file, paths.runtime_dir)
        return GatewayProcess(
            paths,
            sockets_dir,
            partial(set_gateway, paths),
            find_key_file=find_key_file,
            publish_problem=partial(set_gateway_problem, paths),
        )

    def _runner(
        self, repository: Repository, sandbox: Sandbox, surroundings: QaEnvironment, scratch_dir: Path
    ) -> QaRunner:
        return QaRunner(
            repository=repository,
            sandbox=sandbox,
            programs=SubprocessRunner(),
            scratch_dir=scratch_dir,
            environ=self._environ,
            surroundings=surroundings,
            result_files=LocalResultFiles(),
            limits=self._limits,
        )

    def _quality(self, repository: Repository, runner: QaRunner, state_dir: Path) -> Quality:
        return Quality(
            repository=repository,
            runner=runner,
            outputs=QaOutputs(_folder(state_dir / "qa")),
            timeout_s=partial(_qa_timeout_s, self._environ, self._root),
            read=assess_apart,
        )

    def _live(
        self, engine: Engine, repository: GitRepository, keeper: InstanceKeeper, runner: QaRunner
    ) -> LiveConflicts:
        trees, makes = GitLiveTrees(repository.common_dir), LockfileMaker(runner, self._environ).can_make
        return LiveConflicts(engine, repository, keeper.take_over, trees, makes)

    def _hooks(self, repository: GitRepository, runner: QaRunner) -> ResultHooks:
        return ResultHooks(
            repository=repository,
            hooks=GitCommitHooks(repository.root, repository.common_dir),
            runner=runner,
            timeout_s=partial(_qa_timeout_s, self._environ, self._root),
        )

    def _proposer(self, repository: GitRepository, runner: QaRunner, state_dir: Path) -> Proposer:
        return Proposer(
            repository=repository,
            composing=repository.batches,
            resolutions=RecordedResolutions(state_dir / "rerere.git"),
            lockfiles=LockfileMaker(runner, self._environ),
        )


def _terminal(paths: WorkspacePaths, environ: Mapping[str, str]) -> TmuxTerminal:
    environment = {**environ, "AEGIS_STATE_DIR": str(paths.state_dir)}
    return TmuxTerminal(f"aegis-{paths.key}", config_dir=_folder(paths.state_dir / "tmux"), environment=environment)


def _places(paths: WorkspacePaths, sockets_dir: Path) -> Places:
    link_socket(paths.hub_socket, sockets_dir)
    logs, scratch = _folder(paths.hub_log.parent), _folder(paths.state_dir / "scratch")
    return Places(paths.instances_dir, paths.worktrees_dir, scratch, sockets_dir, logs)


async def _tidy(repository: GitRepository, paths: WorkspacePaths, root: Path) -> None:
    """Record which repository the workspace belongs to, and remove what killed processes left behind.

    Raises:
        GitError: git fails.
        OSError: The record cannot be written.
    """
    await asyncio.to_thread(_tidy_folders, paths, root)
    await leftovers_of(repository, paths).clear_scratch()


def _tidy_folders(paths: WorkspacePaths, root: Path) -> None:
    """Record which repository the workspace belongs to, and remove temporary folders of killed processes; blocking.

    Raises:
        OSError: The record cannot be written; a folder that cannot be removed is ignored.
    """
    write_private(paths.state_dir / "root", f"{write_name(str(root))}\n")
    for folder in find_scratch_of_the_dead():
        shutil.rmtree(folder, ignore_errors=True)


def _qa_timeout_s(environ: Mapping[str, str], root: Path) -> float:
    """Return the present setting for how long a QA command may take, in seconds.

    Its default if the settings cannot be read; this is only logged, because other commands report it.
    """
    try:
        return load_settings(environ, project=root).qa.timeout_s
    except UsageError as error:
        _log.warning("settings cannot be read", extra={"reason": error.message})
        return QaSettings().timeout_s


def _usual_endpoint(environ: Mapping[str, str], root: Path) -> UsualEndpoint:
    """Return the model server for calls outside a run, by the person's settings: `run` uses it too.

    With it comes how much of calls is stored.

    Raises:
        UsageError: A setting is wrong, or the project's own file names the address of one, which it may not.
    """
    settings = load_settings(environ, project=root)
    more = tuple(normalise_base_url(url) for url in settings.more_base_urls)
    base_url, kept_mb = normalise_base_url(settings.base_url), settings.model_log.kept_mb
    return UsualEndpoint(base_url, settings.model, more, kept_mb)


def _find_servers(environ: Mapping[str, str], root: Path) -> Mapping[str, McpServer]:
    """Return the MCP servers in the person's settings, by name; empty if there are none.

    Raises:
        UsageError: A setting is wrong, or the project's own file names servers, which it may not.
    """
    return load_settings(environ, project=root).mcp


def _environment_settings(environ: Mapping[str, str], root: Path) -> EnvironmentSettings:
    """Return the present settings about what worktrees get besides tracked files; reads files.

    Raises:
        UsageError: A setting is wrong.
    """
    return load_settings(environ, project=root).environment


def _joined_hash(paths: WorkspacePaths) -> HashJoined:
    """Return the function for the hashes of the tokens that this hub gives to agents that a person connects.

    Raises:
        OSError: The key for tokens cannot be read or created.
    """
    key = load_or_create_key(paths.state_dir / JOINING_KEY)
    return lambda agent_id, session: hash_token(joining_token(key, agent_id, session))


def _folder(path: Path) -> Path:
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def claimed_worktrees(worktrees_dir: Path, workspace: Workspace) -> frozenset[str]:
    """Return the paths of the worktrees that instances use or will use, including those that are being made now."""
    living = (item for item in workspace.instances.by_id.values() if item.phase is not Phase.RECLAIMED)
    return frozenset(item.worktree or str(worktrees_dir / item.instance_id) for item in living)


def _piece_qa(repository: GitRepository, quality: Quality, proposer: Proposer) -> PieceQa:
    return PieceQa(
        repository=repository,
        composing=repository.batches,
        integrator=Integrator(repository),
        quality=quality,
        proposer=proposer,
    )
