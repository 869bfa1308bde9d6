"""Sets instances up and removes them: worktree, files and pane, then rescue and cleanup (PANE-1, GIT-1, PANE-8).

Every method can be called again after the hub was killed at any point; it then completes what was begun.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import logging
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from aegis_tui.domain.glob.pattern import escape_glob
from aegis_tui.domain.ids import hash_token, working_ref
from aegis_tui.domain.instance.model import Instance
from aegis_tui.domain.role import traits_of
from aegis_tui.domain.role_file import TEAM_ROLES
from aegis_tui.domain.run.model import Run
from aegis_tui.orchestrator import confinement, pane_exec
from aegis_tui.orchestrator.last_screen import LastScreens
from aegis_tui.orchestrator.private_refs import PrivateRefs
from aegis_tui.orchestrator.run_kinds import FindServers
from aegis_tui.orchestrator.token_file import token_in
from aegis_tui.ports.agent_kind import FindKind, Launch
from aegis_tui.ports.repository import Guard, Repository, RescueName, Worktree
from aegis_tui.ports.sandbox import Sandbox, SandboxLevel, SandboxSpec
from aegis_tui.ports.surroundings import QaEnvironment, Surroundings
from aegis_tui.ports.terminal import PaneSpec, Terminal
from aegis_tui.sdk.mcp_servers_file import SERVERS_NAME
from aegis_tui.sdk.private_file import write_private

_log = logging.getLogger(__name__)

PASSED_ON = (
    "PATH",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "COLORTERM",
    "NO_COLOR",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "AEGIS_ORPHAN_S",
)
"""Variables of the hub's own environment that an agent inherits; all other variables are set for it."""


@dataclass(frozen=True, slots=True)
class Places:
    """The folders in which a workspace keeps the files of its instances (contract 1)."""

    instances_dir: Path
    worktrees_dir: Path
    scratch_dir: Path
    sockets_dir: Path
    """Holds only the hub's and the gateway's socket, so that the whole folder can be mounted into a sandbox."""
    logs_dir: Path
    """Receives a file per instance with what its pane showed last."""


@dataclass(frozen=True, slots=True)
class PreparedInstance:
    """What the hub records about a prepared instance."""

    worktree: Path
    token_hash: str


class InstanceKeeper:
    """Prepares, launches, stops and reclaims instances.

    Args:
        repository: The workspace's repository.
        terminal: The workspace's private panes.
        sandbox: The sandbox that agents run in.
        places: The workspace's folders, which exist.
        key: Workspace key.
        environ: The hub's environment; only `PASSED_ON` of it reaches an agent.
        git_environment: Variables that keep an agent's git from reaching any remote.
        surroundings: Prepares the project's environment, so that an agent can run the project's tests.
        find_kind: Returns the agent kind of a name.
        find_servers: Returns the MCP servers of the person's settings.
    """

    def __init__(
        self,
        *,
        repository: Repository,
        terminal: Terminal,
        sandbox: Sandbox,
        places: Places,
        key: str,
        environ: Mapping[str, str],
        git_environment: Mapping[str, str],
        surroundings: QaEnvironment,
        find_kind: FindKind,
        find_servers: FindServers = dict,
    ) -> None:
        self._surroundings, self._find_kind, self._find_servers = surroundings, find_kind, find_servers
        self._repository, self._terminal, self._sandbox = repository, terminal, sandbox
        self._places, self._key = places, key
        self._environ, self._git_environment = environ, git_environment
        self._refs = PrivateRefs(repository, places.instances_dir)
        self.screens = LastScreens(terminal, places.logs_dir)

    async def fill(self, *, on: bool = True) -> None:
        """Start adding the missing files, in the background, to worktrees that an earlier hub left incomplete.

        That returns at once. With `on=False`, stop adding files to any worktree, and return when those that are being
        moved are in place; await that before the event loop is closed.
        """
        await (self._repository.continue_filling() if on else self._repository.stop_filling())

    async def prepare(
        self, instance: Instance, run: Run, scope: Mapping[str, object], context: str
    ) -> PreparedInstance:
        """Create an instance's worktree, token, scope file, context file, role file and launch record.

        What exists is kept (worktree, token) or replaced (the other files). The program is not started yet.
        Returns the folder of the worktree and the hash of the token.

        Args:
            instance: The planned instance.
            run: Its run.
            scope: The content of the scope file: partition, shared, joint, owners, moved. The run's `ignore_case` and
                `submodules` are added.
            context: The text that all instances of the run share.

        Raises:
            AegisError: git or the sandbox refuses, or a setting is wrong.
            OSError: A file cannot be written.
        """
        folder = self._places.instances_dir / instance.instance_id
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        (folder / "home").mkdir(mode=0o700, exist_ok=True)
        guard = self._guard(instance, run, folder, scope)
        worktree = await self._repository.add_worktree(
            confinement.worktree_of(instance, run, self._places.worktrees_dir, guard)
        )
        token = token_in(folder / "token")
        whole_scope = {**scope, "ignore_case": run.facts.ignore_case, "submodules": run.facts.submodules}
        write_private(folder / "scope.json", json.dumps(whole_scope, ensure_ascii=False, sort_keys=True))
        write_private(folder / "context.md", context)
        self._copy_role(instance, folder)
        await self._write_launch_record(instance, run, folder, worktree)
        return PreparedInstance(worktree.path, hash_token(token))

    def _copy_role(self, instance: Instance, folder: Path) -> None:
        """Copy the team's own file of the instance's role into `folder/roles` (ROLE-13).

        That is `.agents/agents/ROLE.md` in the person's checkout. If it is missing or a link, only the folder is made.

        Raises:
            OSError: It cannot be read or written.
        """
        roles = folder / "roles"
        roles.mkdir(mode=0o700, exist_ok=True)
        theirs = self._repository.root / TEAM_ROLES / f"{instance.role}.md"
        if theirs.is_file() and not theirs.is_symlink():
            write_private(roles / theirs.name, theirs.read_text("utf-8", "replace"))

    def _guard(self, instance: Instance, run: Run, folder: Path, scope: Mapping[str, object]) -> Guard:
        owners = scope.get("owners")
        return Guard(
            agent_id=instance.agent_id,
            own_ref=f"refs/heads/{instance.branch}",
            integration_ref=working_ref(run.run),
            allow=instance.partition,
            joint=tuple(run.design.joint) if run.design and instance.partition else (),
            shared=tuple(run.design.shared) if run.design else (),
            owners=tuple((glob, str(owner)) for glob, owner in owners.items()) if isinstance(owners, dict) else (),
            hooks_dir=folder / "hooks",
            ignore_case=run.facts.ignore_case,
        )

    async def _write_launch_record(self, instance: Instance, run: Run, folder: Path, worktree: Worktree) -> None:
        level = self._sandbox.choose(run.options.sandbox, await self._sandbox.probe())
        private = None if level is SandboxLevel.NONE else self._refs.git_folder(instance)
        mounts = await self._repository.git_mounts(worktree, private=private)
        around = await self._surround(run, folder, worktree, confined=level is not SandboxLevel.NONE)
        kind = self._find_kind(instance.kind)
        launch = self._launch(instance, run, folder, worktree.path)
        environment = self._environment(instance, run, launch) | kind.environment(launch)
        environment |= confinement.boundary_variables(instance, run, level, self._places.sockets_dir)
        environment["AEGIS_AGENT_MODE"] = run.options.agent_mode
        environment |= {f"AEGIS_TOOL_{name}": value for name, value in around.environment.items()}
        shown_as = [*mounts.shown_as]
        if private is not None:
            shown_as += await self._refs.lay_out(instance, places=mounts.branches, working_oid=run.working_oid)
        spec = SandboxSpec(
            worktree=worktree.path,
            cwd=worktree.path,
            environment=environment,
            read_write=(folder / "home", *mounts.read_write),
            read_only=(
                mounts.common_dir,
                self._places.sockets_dir,
                *(folder / name for name in ("token", "scope.json", "context.md", "hooks", "roles", SERVERS_NAME)),
                *mounts.read_only,
                *around.read_only,
            ),
            links=around.links,
            shown_as=tuple(shown_as),
            hidden=() if self._repository.root == mounts.common_dir else (self._repository.root,),
            worktree_writable=traits_of(instance.role).has_writable_worktree,
            serves_names=True,
            second_layer=True,
            keep_environment=True,
        )
        await asyncio.to_thread(confinement.write_servers, folder, self._find_servers, instance, run, environment)
        argv = self._sandbox.wrap(kind.argv(launch), spec, level)
        confinement.write_launch(folder, argv, environment, worktree.path)

    async def _surround(self, run: Run, folder: Path, worktree: Worktree, *, confined: bool) -> Surroundings:
        """Prepare a worktree's environment, record it in `folder` for `worktree list`, and return it.

        If that needs more than the names in the top folder, wait first until all files of the worktree are there.

        Raises:
            GitError: git fails.
            OSError: A file cannot be written.
        """
        source = confinement.source_of(run)
        if not worktree.is_whole and await self._surroundings.reads_tree(source):
            await self._repository.completed(worktree.path)
        around = await self._surroundings.prepare(
            worktree.path, folder / "home", (), confined=confined, committed=True, source=source
        )
        await asyncio.to_thread(confinement.write_environment, folder, around, run)
        return around

    def _launch(self, instance: Instance, run: Run, folder: Path, worktree: Path) -> Launch:
        sockets = self._places.sockets_dir
        return Launch(
            instance_id=instance.instance_id,
            role=instance.role,
            worktree=worktree,
            home=folder / "home",
            hub_url=f"unix:{sockets / 'hub.sock'}",
            gateway_url=f"http+unix:{sockets / 'gateway.sock'}",
            token_file=folder / "token",
            scope_file=folder / "scope.json",
            roles_dir=folder / "roles",
            context_file=folder / "context.md",
            model=run.options.model or run.facts.model,
        )

    def _environment(self, instance: Instance, run: Run, launch: Launch) -> dict[str, str]:
        """Return the variables that every agent gets (contract 10): paths and names, never a secret."""
        passed = {name: self._environ[name] for name in PASSED_ON if name in self._environ}
        passed.setdefault("LANG", "C.UTF-8")
        return {
            **passed,
            **self._git_environment,
            "HOME": str(launch.home),
            "TERM": "tmux-256color",
            "AEGIS_WORKSPACE": self._key,
            "AEGIS_INSTANCE": instance.instance_id,
            "AEGIS_AGENT_ID": instance.agent_id,
            "AEGIS_ROLE": instance.role,
            "AEGIS_RUN": run.run,
            "AEGIS_INTEGRATION_REF": working_ref(run.run),
            "AEGIS_HUB": launch.hub_url,
            "AEGIS_TOKEN_FILE": str(launch.token_file),
            "AEGIS_SCOPE_FILE": str(launch.scope_file),
        }

    def written_by(self, name: str) -> tuple[Path, ...]:
        """Return the folders that an instance writes besides its worktree: its HOME and its copies of git's folders.

        Some may not exist.

        Args:
            name: The instance's short id.
        """
        return (self._places.instances_dir / name / "home", *self._refs.written_by(name))

    async def launch(self, instance: Instance) -> tuple[str, int]:
        """Start the program of a prepared instance in its pane; return the pane's id and the process id.

        If a pane with a running program is open already, that is used and nothing is started.

        Raises:
            AegisError: The terminal server or the pane cannot be started.
            OSError: The terminal server's configuration cannot be written.
        """
        await self._terminal.start()
        pane = await self._terminal.open_pane(
            PaneSpec(
                instance=instance.instance_id,
                argv=(sys.executable, "-I", "-S", pane_exec.__file__, instance.instance_id),
                cwd=self._places.instances_dir,
                title=instance.agent_id,
            )
        )
        return pane.pane_id, pane.pid

    async def fence(self, instance: Instance, run: Run, scope: Mapping[str, object], granted: Sequence[str]) -> None:
        """Update the scope that an instance's commit hook enforces, after a re-partition or a grant of paths.

        No effect for an instance without a worktree.

        Args:
            instance: The instance; its partition may be written.
            run: Its run.
            scope: The content of its scope file, of which the `owners` are used.
            granted: Paths outside its partition that it may write too.

        Raises:
            AegisError: The worktree is gone, or the hook's file cannot be written.
        """
        if instance.worktree is None:
            return
        guard = self._guard(instance, run, self._places.instances_dir / instance.instance_id, scope)
        allow = (*instance.partition, *(escape_glob(path) for path in granted))
        await self._repository.set_guard(Path(instance.worktree), dataclasses.replace(guard, allow=allow))

    async def show_working_ref(self, instance: Instance, oid: str) -> None:
        """Set the copy of the run's integration branch that a sandboxed instance sees to the commit `oid`.

        No effect without a copy, as without a sandbox. A copy that cannot be written is only logged.
        """
        await self._refs.show_working_ref(instance, oid)

    async def take_in(self, instance: Instance, oid: str) -> str:
        """Copy a commit of a sandboxed instance into the repository; return why that failed, empty on success.

        Without a sandbox the commit is in the repository already, and only its existence is checked.

        Raises:
            GitError: git cannot tell whether the commit exists.
        """
        return await self._refs.take_in(instance, oid)

    async def take_over(self, instance: Instance) -> None:
        """Move the branch in the repository to the commit to which a sandboxed instance moved its own copy of it.

        The commit is copied first. No effect if there is no copy, the branch is there already, or the commit cannot be
        copied.

        Raises:
            Conflict: The branch was moved meanwhile.
            GitError: git fails.
        """
        await self._refs.take_over(instance)

    async def stop(self, instance: Instance) -> None:
        """Save what the instance's pane shows, then end all processes that it started and close the pane.

        The processes end even if the pane is gone; no error if nothing is left.

        Raises:
            TerminalError: tmux does not answer; then the processes may still run.
        """
        await self.screens.keep(instance.instance_id)
        await self._terminal.close_pane(instance.instance_id)

    async def reclaim(self, instance: Instance, *, saved_tree: str | None) -> str | None:
        """Close an instance's pane and remove its worktree, token and private git folder, if there; its branch stays.

        Args:
            instance: The instance, whose program has ended or is to be ended.
            saved_tree: A tree that is kept elsewhere; a worktree equal to it needs no rescue.

        Returns:
            The rescue ref that holds work which would have been lost; None if there was none.

        Raises:
            Refused: The work cannot be saved in full; the worktree stays.
            Conflict: The instance's branch was moved meanwhile; the worktree stays.
            GitError: git fails; the worktree stays.
            TerminalError: tmux does not answer; nothing was removed.
            OSError: A file or folder cannot be removed.
        """
        await self.screens.keep(instance.instance_id)
        await self._terminal.close_pane(instance.instance_id)
        folder = self._places.instances_dir / instance.instance_id
        (folder / "token").unlink(missing_ok=True)
        if instance.worktree is None:
            return None
        await self._refs.take_over(instance)
        rescued = await self._repository.remove_worktree(
            Path(instance.worktree),
            rescue=RescueName(instance.run or "none", instance.instance_id),
            already_saved=saved_tree,
            reuse=not traits_of(instance.role).has_writable_worktree,
        )
        await self._refs.forget(instance)
        return rescued.ref if rescued else None
