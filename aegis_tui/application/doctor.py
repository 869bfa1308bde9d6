"""Checks what this machine has and lacks for a run, and names a fix for each lack (CLI-2). It changes nothing."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from pathlib import Path

from aegis_tui.application.boundary import describe_boundary, describe_servers
from aegis_tui.application.program_version import find_version
from aegis_tui.config import Settings
from aegis_tui.domain.count import listed
from aegis_tui.domain.wire.machine import CheckResultFields
from aegis_tui.errors import AegisError
from aegis_tui.ports.agent_kind import KindFacts
from aegis_tui.ports.llm import ChatModel, ChatReply, ping_request
from aegis_tui.ports.model_server import ChooseModel, ModelEndpoint, ProbeEndpoint
from aegis_tui.ports.program import ProgramRunner
from aegis_tui.ports.sandbox import Sandbox, SandboxLevel

PYTHON_WANTED = (3, 11)
GIT_WANTED = (2, 38)
TMUX_WANTED = (3, 2)
DEFAULT_PORT = 9999
INOTIFY_WANTED = {"max_user_instances": 128, "max_user_watches": 65_536}
"""The least limits for a hub that watches the worktrees of a few dozen instances."""

DISK_WANTED_BYTES = 2 << 30
TOOL_CALL_DEADLINE_S = 30.0
_PROGRAM_DEADLINE_S = 10.0
_SERVER_FIX = (
    "start one: aegis-tui vllm start MODEL, or name another: --base-url, AEGIS_BASE_URL; aegis-tui demo needs none"
)
_TOOL_CALL_FIX = "serve the model with --enable-auto-tool-choice and --tool-call-parser, as aegis-tui vllm start does"


@dataclass(frozen=True, slots=True)
class Check:
    """The result of one check of the machine."""

    name: str
    ok: bool
    observed: str
    fix: str = ""
    """What the person can do if the check fails."""
    essential: bool = False
    """Whether no run can start if the check fails."""
    is_extra: bool = False
    """Whether nothing is worse if the check fails: one of many programs of which none is needed."""

    def to_wire(self) -> CheckResultFields:
        """Return the check in the form of contract 9, and whether it is essential; `fix` is empty if it passed."""
        fix = "" if self.ok else self.fix
        return {"name": self.name, "ok": self.ok, "found": self.observed, "fix": fix, "essential": self.essential}


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
        probe_endpoint: Asks a model server for its models, if its address is inside the boundary.
        open_model: Opens a client for a base URL.
        chooser: Chooses among several models.
        find_key_warnings: Returns warnings about the model server's key file, each as `problem: fix`.
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
        proc: The proc file system.
    """

    def __init__(
        self,
        *,
        programs: ProgramRunner,
        sandbox: Sandbox,
        probe_endpoint: ProbeEndpoint,
        open_model: Callable[[str], ChatModel],
        chooser: ChooseModel,
        find_key_warnings: Callable[[], Sequence[str]] = tuple,
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
        proc: Path = Path("/proc"),
    ) -> None:
        self._programs, self._sandbox = programs, sandbox
        self._probe_endpoint, self._open_model = probe_endpoint, open_model
        self._chooser, self._find_key_warnings = chooser, find_key_warnings
        self._find_tmux_problem, self._find_repository_problem = find_tmux_problem, find_repository_problem
        self._settings, self._environ = settings, environ
        self._folder, self._state_dir, self._proc = folder, state_dir, proc
        self._describe_kinds = describe_kinds
        self._find_leftovers, self._look_at_log = find_leftovers, look_at_log
        self._more = look_at_environment

    async def examine(self) -> list[Check]:
        """Run every check and return them in the order in which a person would fix them.

        What is missing, fails or cannot be looked at is a failed check, not an error. It asks the model server for one
        reply, which may take 30 s, tries the sandbox out, and reads the whole log unless a hub runs.
        """
        first = await asyncio.gather(self._python(), self._version("git", GIT_WANTED), self._tmux())
        repository, log, held, model, port = await asyncio.gather(
            self._repository(), self._log(), self._held(), self._model(), self._port()
        )
        here = [*self._inside(), port, self._inotify(), self._disk(), await self._left(), *await self._agents()]
        here += await self._more(self._folder)
        return [*first, repository, log, held, *model, *here]

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
        for key, example in (("user.name", "Your Name"), ("user.email", "you@example.org")):
            if not await self._said("git", "config", key, cwd=folder):
                return Check(name, False, f"git has no {key}", f"git config --global {key} '{example}'")
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

    async def _model(self) -> list[Check]:
        try:
            endpoint = await self._probe_endpoint(self._settings.base_url)
        except AegisError as error:
            fix = error.hint if error.code in ("model.key", "usage") else _SERVER_FIX
            return [Check("model", False, error.message, fix, essential=True)]
        served = listed(endpoint.models) or "no model"
        try:
            model = await self._choose(endpoint)
        except AegisError as error:
            return [Check("model", False, error.message, error.hint, essential=True)]
        serves = Check(
            "model",
            model is not None,
            f"{endpoint.base_url} serves {served}",
            "load a model on that server",
            essential=True,
        )
        rights = [_key_check(warning) for warning in self._find_key_warnings()]
        return [serves, *rights, *([await self._tool_call(endpoint, model)] if model is not None else [])]

    async def _choose(self, endpoint: ModelEndpoint) -> str | None:
        """Return the model that a run would work with; None if the server serves none and the settings name none.

        Raises:
            ModelUnavailable: No model answers, the one in the settings is not served, or the server refuses the key.
        """
        if endpoint.scripted:
            return self._settings.model or next(iter(endpoint.models), None)
        return (await self._chooser.choose(endpoint.base_url, endpoint.models, wanted=self._settings.model)).model

    async def _tool_call(self, endpoint: ModelEndpoint, model: str) -> Check:
        """Check that the model can make a streamed tool call, which every agent needs; a scripted one passes unasked.

        Returns:
            The check; failed if the server does not answer in time, refuses, or answers without a usable call.
        """
        name = "tool call"
        if endpoint.scripted:
            return Check(name, True, "a scripted model: its calls are read from files")
        client, started = self._open_model(endpoint.base_url), time.monotonic()
        try:
            async with asyncio.timeout(TOOL_CALL_DEADLINE_S):
                reply = await _ask_for_call(client, model)
        except TimeoutError:
            return Check(name, False, f"no tool call within {TOOL_CALL_DEADLINE_S:g} s", _TOOL_CALL_FIX)
        except AegisError as error:
            return Check(name, False, error.message, _TOOL_CALL_FIX)
        finally:
            await client.close()
        took = f"{time.monotonic() - started:.1f} s"
        usable = [call for call in reply.tool_calls if call.name == "ping" and _is_json(call.arguments)]
        words = f"streamed in {took}" if usable else f"{model} answered without a usable tool call"
        return Check(name, bool(usable), words, _TOOL_CALL_FIX)

    async def _port(self) -> Check:
        asked = self._settings.port
        port = asked or DEFAULT_PORT
        if _is_free(port):
            return Check("port", True, f"{port} is free")
        if asked is None:
            return Check("port", True, f"{port} is taken; the hub will use another free port")
        return Check("port", False, f"{port} is taken", "choose another: AEGIS_PORT, or leave it unset", essential=True)

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


async def _ask_for_call(client: ChatModel, model: str) -> ChatReply:
    reply = ChatReply("")
    async with aclosing(client.stream(ping_request(model))) as parts:
        async for part in parts:
            if isinstance(part, ChatReply):
                reply = part
    return reply


def missing(checks: list[Check]) -> list[Check]:
    """Return the failed checks that prevent a run from starting, in the given order; empty if one can start."""
    return [check for check in checks if check.essential and not check.ok]


def _key_check(warning: str) -> Check:
    problem, _, fix = warning.partition(": ")
    return Check("model key", False, problem, fix)


def _is_json(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


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
