"""Checks what this machine has and lacks for a run, and names a fix for each lack (CLI-2). It changes nothing."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import socket
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from aegis_tui.application.boundary import describe_boundary, describe_servers
from aegis_tui.application.check import Check
from aegis_tui.application.program_version import find_version
from aegis_tui.config import Settings
from aegis_tui.domain.count import listed
from aegis_tui.errors import AegisError
from aegis_tui.ports.agent_kind import KindFacts
from aegis_tui.ports.program import ProgramRunner
from aegis_tui.ports.sandbox import Sandbox, SandboxLevel

PYTHON_WANTED = (3, 11)
GIT_WANTED = (2, 38)
TMUX_WANTED = (3, 2)
DEFAULT_PORT = 9999
INOTIFY_WANTED = {"max_user_instances": 128, "max_user_watches": 65_536}
"""The least limits for a hub that watches the worktrees of a few dozen instances."""

DISK_WANTED_BYTES = 2 << 30
_PROGRAM_DEADLINE_S = 10.0


@dataclass(frozen=True, slots=True)
class LogLook:
    """The condition of a repository's event log."""

    condition: str
    error: AegisError | None = None
    """Why no hub can use the log; the hint says what to do. None if it can be used."""


class Doctor:
    """Checks one machine.

    Args:
        programs: Runs git and tmux to learn their versions.
        sandbox: The sandbox that agents would run in; it is tried out.
        examine_model: Checks the model server.
        find_tmux_problem: Returns why tmux cannot use the folder that the person chose for its sockets, or None.
        find_repository_problem: Returns why no run can work in the repository of a folder, or None.
        settings: The person's settings.
        environ: The environment that programs get; its PATH is searched for them.
        folder: The person's current folder.
        state_dir: Where state would be kept; it need not exist.
        describe_kinds: Returns the facts about each agent kind that can be dispatched; reads files.
        find_leftovers: Returns what workspaces without a hub left behind, one line each; blocking.
        look_at_log: Returns the condition of the log of the repository of a folder; blocking.
        look_at_environment: Returns the checks of what worktrees of the repository of a folder would get.
        find_hub_port: Returns the port of the hub that runs for the repository of a folder, or None; blocking.
        proc: The proc file system.
    """

    def __init__(
        self,
        *,
        programs: ProgramRunner,
        sandbox: Sandbox,
        examine_model: Callable[[], Awaitable[list[Check]]],
        find_tmux_problem: Callable[[], str | None] = lambda: None,
        find_repository_problem: Callable[[Path], Awaitable[AegisError | None]],
        settings: Settings,
        environ: Mapping[str, str],
        folder: Path,
        state_dir: Path,
        describe_kinds: Callable[[], Sequence[KindFacts]] = tuple,
        find_leftovers: Callable[[], list[str]] = list,
        look_at_log: Callable[[Path], LogLook] = lambda _: LogLook("none yet"),
        look_at_environment: Callable[[Path], Awaitable[list[Check]]] = lambda _: asyncio.sleep(0, []),
        find_hub_port: Callable[[Path], int | None] = lambda _: None,
        proc: Path = Path("/proc"),
    ) -> None:
        self._programs, self._sandbox = programs, sandbox
        self._examine_model = examine_model
        self._find_tmux_problem, self._find_repository_problem = find_tmux_problem, find_repository_problem
        self._settings, self._environ = settings, environ
        self._folder, self._state_dir, self._proc = folder, state_dir, proc
        self._describe_kinds = describe_kinds
        self._find_leftovers, self._look_at_log = find_leftovers, look_at_log
        self._more, self._find_hub_port = look_at_environment, find_hub_port

    async def examine(self) -> list[Check]:
        """Run every check and return them in the order in which a person would fix them.

        What is missing, fails or cannot be looked at is a failed check, not an error. It asks the model server for one
        reply, which may take 30 s, tries the sandbox out, and reads the whole log unless a hub runs.
        """
        needed, model, rest = await asyncio.gather(self._needed(), self._examine_model(), self._rest())
        return [*needed, *model, *rest]

    async def examine_machine(self) -> list[Check]:
        """Run every check but those of the model server, and return them in the same order; none is an error either."""
        needed, rest = await asyncio.gather(self._needed(), self._rest())
        return [*needed, *rest]

    async def _needed(self) -> list[Check]:
        """Return the checks of what comes before a model: programs, repository, log and sandbox."""
        tools = (self._python(), self._version("git", GIT_WANTED), self._tmux())
        return list(await asyncio.gather(*tools, self._repository(), self._log(), self._held()))

    async def _rest(self) -> list[Check]:
        port, left, agents, more = await asyncio.gather(
            self._port(), self._left(), self._agents(), self._more(self._folder)
        )
        return [*self._inside(), port, self._inotify(), self._disk(), left, *agents, *more]

    async def _python(self) -> Check:
        version = ".".join(map(str, sys.version_info[:3]))
        return Check(
            "python", sys.version_info >= PYTHON_WANTED, version, "install Python 3.11 or newer", essential=True
        )

    async def _version(self, name: str, wanted: tuple[int, int], *, flag: str = "--version") -> Check:
        fix = f"install {name} {wanted[0]}.{wanted[1]} or newer: {_install(name, self._environ)}"
        text = await self._said(name, flag)
        if text is None:
            return Check(name, False, "not installed", fix, essential=True)
        match = re.search(r"(\d+)\.(\d+)", text)
        suits = match is None or (int(match[1]), int(match[2])) >= wanted
        return Check(name, suits, text, fix, essential=True)

    async def _tmux(self) -> Check:
        check = await self._version("tmux", TMUX_WANTED, flag="-V")
        if check.ok and (problem := self._find_tmux_problem()):
            return replace(check, observed=f"{check.observed}; {problem}; /tmp is used instead")
        return check

    async def _said(self, *argv: str, cwd: Path | None = None) -> str | None:
        """Return what a program prints, stripped; None if it is missing, fails, or does not end within 10 s."""
        program = shutil.which(argv[0], path=self._environ.get("PATH", os.defpath))
        if program is None:
            return None
        try:
            done = await self._programs.run(
                [program, *argv[1:]],
                cwd=cwd or Path("/"),
                environment=self._environ,
                timeout_s=_PROGRAM_DEADLINE_S,
            )
        except (AegisError, OSError):  # OSError: there is such a program, but it cannot be started
            return None
        return done.output.strip() if done.exit_code == 0 else None

    async def _repository(self) -> Check:
        name, folder = "repository", self._folder
        if await self._said("git", "rev-parse", "--show-toplevel", cwd=folder) is None:
            problem = await self._find_repository_problem(folder)
            if problem is not None and problem.code == "git.ownership":
                return Check(name, False, problem.message, problem.hint)
            return Check(
                name, False, f"{folder} is not in a git repository", "change to your repository, or try: aegis-tui demo"
            )
        if await self._said("git", "rev-parse", "--verify", "HEAD", cwd=folder) is None:
            return Check(name, False, "no commit yet", "git add . && git commit --allow-empty -m 'Start'")
        keys = {"user.name": "Your Name", "user.email": "you@example.org"}
        if lacks := [key for key in keys if not await self._said("git", "config", key, cwd=folder)]:
            fix = " && ".join(f"git config --global {key} '{keys[key]}'" for key in lacks)
            return Check(name, False, f"git has no {listed(lacks)}", fix)
        if (problem := await self._find_repository_problem(folder)) is not None:
            return Check(name, False, problem.message, problem.hint)
        return Check(name, True, "has commits, and git knows your name and email")

    async def _log(self) -> Check:
        look = await asyncio.to_thread(self._look_at_log, self._folder)
        return Check("log", look.error is None, look.condition, look.error.hint if look.error else "", essential=True)

    async def _held(self) -> Check:
        try:
            report = await self._sandbox.probe()
        except AegisError as error:
            return Check("sandbox", False, error.message, error.hint, essential=True)
        observed = f"{report.level}: " + ", ".join(f"{layer} ({held})" for layer, held in report.layers.items())
        is_strict, holds = self._settings.sandbox == "strict", report.level is not SandboxLevel.NONE
        until = "no run can start" if is_strict else "agents run without a sandbox"
        return Check("sandbox", holds, observed, f"{report.remedy}; {until} until then", essential=is_strict)

    def _inside(self) -> list[Check]:
        """Return what the settings let agents reach besides hub and model, and their MCP servers if there are any."""
        boundary = describe_boundary(self._settings, self._describe_kinds)
        servers = describe_servers(self._settings)
        checks = [Check("boundary", not boundary.fix, boundary.words, boundary.fix)]
        return checks + ([] if servers is None else [Check("mcp", True, servers.words)])

    async def _port(self) -> Check:
        asked = self._settings.port
        port = asked or DEFAULT_PORT
        if _is_free(port):
            return Check("port", True, f"{port} is free")
        if await asyncio.to_thread(self._find_hub_port, self._folder) == port:
            return Check("port", True, f"{port} is used by the hub of this repository")
        if asked is None:
            return Check("port", True, f"{port} is taken; the hub will use another free port")
        return Check(
            "port",
            False,
            f"{port} is taken",
            "name a free one in AEGIS_PORT or in the setting port, or unset both",
            essential=True,
        )

    def _inotify(self) -> Check:
        folder = self._proc / "sys" / "fs" / "inotify"
        limits = {name: _number(folder / name) for name in INOTIFY_WANTED}
        if not sys.platform.startswith("linux") or None in limits.values():
            return Check("inotify", True, "not used here")
        low = {name: wanted for name, wanted in INOTIFY_WANTED.items() if (limits[name] or 0) < wanted}
        words = ", ".join(f"{name} {number}" for name, number in limits.items())
        fix = "sudo sysctl " + " ".join(f"fs.inotify.{name}={wanted}" for name, wanted in low.items())
        return Check("inotify", not low, words, fix)

    def _disk(self) -> Check:
        fix = "free some space: each instance has its own worktree there (set XDG_STATE_HOME to move them)"
        try:
            place = next(path for path in (self._state_dir, *self._state_dir.parents) if path.exists())
            free = shutil.disk_usage(place).free
        except OSError as error:
            return Check("disk", False, f"{self._state_dir} cannot be examined: {error.strerror}", fix)
        return Check("disk", free >= DISK_WANTED_BYTES, f"{free / (1 << 30):.1f} GiB free at {place}", fix)

    async def _left(self) -> Check:
        try:
            left = await asyncio.to_thread(self._find_leftovers)
        except OSError as error:
            left = [f"the search for them failed: {error}"]
        fix = (
            "in that repository: `aegis-tui hub start` continues the run; `aegis-tui hub stop --force`, "
            "then `aegis-tui worktree repair`, remove what is left"
        )
        return Check("leftovers", not left, "; ".join(left) or "none", fix)

    async def _agents(self) -> list[Check]:
        """Return a check that lists the agent kinds that can be started, and never fails; then one check per kind."""
        kinds = await asyncio.to_thread(self._describe_kinds)
        checks = await asyncio.gather(*map(self._agent, kinds))
        usable = [kind.name for kind, check in zip(kinds, checks, strict=True) if check.ok]
        return [Check("agents", True, ", ".join(usable)), *checks]

    async def _agent(self, kind: KindFacts) -> Check:
        """Return a check that passes if a kind is installed without a fault, with its program's version and place.

        It passes too, and says so, if the kind is refused because `sandbox` is `strict`. A failed one has the reason
        and the remedy.
        """
        name = f"agent {kind.name}"
        if kind.missing:
            return Check(name, False, f"not installed: {listed(kind.missing)}", kind.remedy, is_extra=True)
        if kind.fault:
            return Check(name, False, kind.fault, kind.remedy)
        version = await find_version(self._programs, kind.program, self._environ) if kind.program else None
        place = f"{version or 'version unknown'} at {kind.program}" if kind.program else "included"
        is_refused = self._settings.sandbox == "strict" and not kind.checks_edits
        strict = ", so it is refused while `sandbox` is `strict`" if is_refused else ""
        return Check(name, True, f"{kind.title}: {place}; {kind.abilities}{strict}{_known_names(kind, version)}")


def _known_names(kind: KindFacts, version: str | None) -> str:
    """Return, as the end of a sentence, which names the program of a kind is known to look up; empty without one."""
    if not kind.program:
        return ""
    if version is None or version not in kind.names:
        return "; the host names that this version looks up are not known"
    known = listed(kind.names[version])
    return f"; looks up {known}, which the sandbox refuses" if known else "; looks up no host names"


def _is_free(port: int) -> bool:
    try:
        with socket.create_server(("127.0.0.1", port)):
            return True
    except OSError:
        return False


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text("ascii"))
    except (OSError, ValueError):
        return None


def _install(package: str, environ: Mapping[str, str]) -> str:
    """Return the command that installs a package with this machine's package manager, or advice if none is known."""
    path = environ.get("PATH", os.defpath)
    for manager, words in (
        ("apt-get", "sudo apt-get install -y"),
        ("dnf", "sudo dnf install -y"),
        ("brew", "brew install"),
    ):
        if shutil.which(manager, path=path):
            return f"{words} {package}"
    return f"install {package} with your package manager"
