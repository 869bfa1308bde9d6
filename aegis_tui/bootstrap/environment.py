"""Connects what worktrees get besides tracked files: set-up command, checkout, `.worktreeinclude`, ports (GIT-1)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from aegis_tui.adapters.environment.caches import CacheFinder
from aegis_tui.adapters.environment.included import IncludedFiles
from aegis_tui.adapters.environment.prepared import PreparedFolders
from aegis_tui.adapters.environment.project import ProjectEnvironment
from aegis_tui.adapters.environment.provision import EnvironmentParts, ProvidedEnvironment
from aegis_tui.adapters.environment.submodule_files import SubmoduleFiles
from aegis_tui.adapters.environment.survey import CheckoutSurvey
from aegis_tui.adapters.git.describe import list_files
from aegis_tui.adapters.git.repository import GitRepository, open_repository
from aegis_tui.adapters.program import SubprocessRunner
from aegis_tui.adapters.sandbox.toolchain import find_toolchain_paths
from aegis_tui.application.check import Check
from aegis_tui.application.environment_check import NAME as CHECK_NAME
from aegis_tui.application.environment_check import environment_checks
from aegis_tui.config import EnvironmentSettings, Limits, load_settings
from aegis_tui.domain.environment.model import EnvironmentPlan
from aegis_tui.errors import AegisError, GitUnavailable, UsageError
from aegis_tui.orchestrator.environment import EnvironmentMaker, EnvironmentPlanner
from aegis_tui.ports.prepared_environment import MadeEnvironment
from aegis_tui.ports.repository import Repository
from aegis_tui.ports.sandbox import Sandbox
from aegis_tui.sdk.discovery import WorkspacePaths, workspace_paths
from aegis_tui.sdk.environments import EnvironmentFolder


class EnvironmentWiring:
    """Builds what prepares the worktrees of one repository.

    Args:
        repository: The repository.
        environ: The hub's environment, or that of a command.
        paths: The workspace.
        find_settings: Returns the present settings; reads files.
    """

    def __init__(
        self,
        repository: Repository,
        environ: Mapping[str, str],
        paths: WorkspacePaths,
        find_settings: Callable[[], EnvironmentSettings],
    ) -> None:
        self._repository, self._environ, self._paths = repository, environ, paths
        self._find_settings = find_settings
        self._project = ProjectEnvironment(repository.root, repository.common_dir, environ)
        self._included = IncludedFiles(repository.root, repository.common_dir)
        self._folder = environments_of(paths)

    def surroundings(self) -> ProvidedEnvironment:
        """Return what gives worktrees of agents and QA what they need besides tracked files; prepares nothing yet."""
        parts = EnvironmentParts(
            root=self._repository.root,
            project=self._project,
            included=self._included,
            environments=self._folder,
            submodules=SubmoduleFiles(self._repository.common_dir),
            caches=CacheFinder(self._environ),
            ports_dir=self._paths.state_dir.parent / "ports",
            find_settings=self._find_settings,
        )
        return ProvidedEnvironment(parts)

    def maker(self, sandbox: Sandbox, limits: Limits) -> EnvironmentMaker:
        """Return what runs the set-up command of a run and keeps its result; runs nothing yet.

        Args:
            sandbox: The sandbox that it runs in.
            limits: How much it may print and write.
        """
        search_path, home = self._environ.get("PATH", ""), Path(self._environ.get("HOME") or Path.home())
        shown = find_toolchain_paths(search_path, home, package=Path(__file__).parents[1])
        return EnvironmentMaker(
            repository=self._repository,
            sandbox=sandbox,
            programs=SubprocessRunner(),
            environ=self._environ,
            prepared=PreparedFolders(self._folder, self._repository, shown),
            find_settings=self._find_settings,
            limits=limits,
        )

    def survey(self) -> CheckoutSurvey:
        """Return what finds out which environments and files the person's checkout provides; reads nothing yet."""
        return CheckoutSurvey(self._repository.root, self._project, self._included, self._find_settings)

    def planner(self) -> EnvironmentPlanner:
        """Return what plans, before a run starts, what its worktrees will get; reads nothing yet."""
        return EnvironmentPlanner(
            find_settings=self._find_settings,
            list_files=partial(list_files, self._repository.common_dir),
            read_blob=self._repository.read_blob,
            survey=self.survey(),
            is_allowed=lambda key: key in self._folder.allowed(),
        )


def environments_of(paths: WorkspacePaths) -> EnvironmentFolder:
    """Return the folder of a workspace's environments and of the set-up commands that the person allowed.

    It need not exist.
    """
    return EnvironmentFolder(paths.state_dir / "environments")


@dataclass(frozen=True, slots=True)
class EnvironmentView:
    """What is known about the worktrees of the present commit."""

    plan: EnvironmentPlan
    """The set-up command and its key."""
    is_allowed: bool
    places: tuple[str, ...]
    included: tuple[str, ...]
    missing: tuple[str, ...]
    made: tuple[MadeEnvironment, ...]
    suggested: str
    """A set-up command that may make what is missing; empty if nothing is missing, or none is known."""


async def setup_at(root: Path, environ: Mapping[str, str], paths: WorkspacePaths) -> EnvironmentPlan:
    """Return the set-up command for the present commit of a checkout, with its key; `setup` is empty if none is set.

    Nothing is run.

    Args:
        root: A folder in the checkout.
        environ: The environment, from which settings are read.
        paths: The workspace's folders.

    Raises:
        UsageError: A setting is wrong, or there is no commit yet.
        GitUnavailable: git is missing, or `root` is in no repository.
        GitError: git fails.
    """
    repository, wired, _, files = await _opened(root, environ, paths)
    return wired.planner().setup_of(load_settings(environ, project=repository.root).environment, files)


async def view_environment(root: Path, environ: Mapping[str, str], paths: WorkspacePaths) -> EnvironmentView:
    """Return what worktrees of the present commit of a checkout would get; starts nothing of the repository.

    Raises:
        UsageError: A setting is wrong, or there is no commit yet.
        Refused: More would be copied than is allowed.
        GitUnavailable: git is missing, or `root` is in no repository.
        GitError: git fails.
        OSError: A file cannot be read.
    """
    repository, wired, head, files = await _opened(root, environ, paths)
    folder, survey = environments_of(paths), wired.survey()
    plan = wired.planner().setup_of(load_settings(environ, project=repository.root).environment, files)
    missing = () if plan.setup else tuple(await wired.planner().missing(files))
    return EnvironmentView(
        suggested=await wired.planner().suggest(files) if missing else "",
        plan=plan,
        is_allowed=plan.key in folder.allowed(),
        places=survey.places(),
        included=await survey.included(head),
        missing=missing,
        made=tuple(folder.made()),
    )


async def environment_checks_at(folder: Path, environ: Mapping[str, str]) -> list[Check]:
    """Return the checks of `doctor` about the worktrees of the repository of a folder; empty outside a repository."""
    try:
        repository = await open_repository(folder)
        seen = await view_environment(repository.root, environ, workspace_paths(repository.key, environ))
    except GitUnavailable:
        return []
    except AegisError as error:
        return [Check(CHECK_NAME, False, error.message, error.hint)]
    except OSError as error:
        return [
            Check(
                CHECK_NAME,
                False,
                f"what worktrees would get cannot be determined: {error}",
                "free disk space, or see docs/environment.md",
            )
        ]
    return environment_checks(
        seen.plan,
        is_allowed=seen.is_allowed,
        places=seen.places,
        included=seen.included,
        missing=seen.missing,
        suggested=seen.suggested,
    )


async def _opened(
    root: Path, environ: Mapping[str, str], paths: WorkspacePaths
) -> tuple[GitRepository, EnvironmentWiring, str, dict[str, str]]:
    repository = await open_repository(root)
    head = (await repository.facts()).head_oid
    if head is None:
        raise UsageError("the repository has no commit yet", "git add . && git commit --allow-empty -m 'Start'")
    wired = EnvironmentWiring(
        repository, environ, paths, lambda: load_settings(environ, project=repository.root).environment
    )
    return repository, wired, head, await list_files(repository.common_dir, head)
