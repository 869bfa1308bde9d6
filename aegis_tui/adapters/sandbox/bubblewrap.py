"""The bubblewrap sandbox: separate namespaces for files, network and processes, without root rights.

The file system inside is built from nothing, so paths that were not listed are absent, not just forbidden.

Terminal: an agent in a pane keeps the pane's terminal (no `--new-session`), otherwise Ctrl-C and job control would not
reach it. Ctrl-C must not end bubblewrap, and with it an agent that handles the signal: bubblewrap ignores SIGINT and
SIGQUIT, and `env` restores both for the agent inside. TIOCSTI could only insert input into that agent's own pane, which
runs the agent and nothing after it. Commands without a terminal set `own_session`. Linux 6.2 and later can refuse
TIOCSTI completely (`dev.tty.legacy_tiocsti=0`), and the report says whether this machine does.

Sources: SEC-1, SEC-3, GIT-6; bwrap(1); CVE-2017-5226 (TIOCSTI).
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from aegis_tui.adapters.sandbox.landlock import LEAST_ABI, find_abi
from aegis_tui.adapters.sandbox.limits import Mechanisms, find_mechanisms, inner_argv, outer_argv
from aegis_tui.adapters.sandbox.probe import Findings, try_to_get_out
from aegis_tui.adapters.sandbox.remedy import INSTALL, read_kernel, remedy_for
from aegis_tui.adapters.sandbox.second_layer import landlock_argv, try_landlock
from aegis_tui.adapters.sandbox.toolchain import SYSTEM_PATHS, find_toolchain_paths
from aegis_tui.config import Limits
from aegis_tui.errors import Refused, SandboxUnavailable
from aegis_tui.ports.sandbox import SandboxLevel, SandboxMode, SandboxReport, SandboxSpec

_ROOM = "make room in the folder for temporary files, or set TMPDIR to a folder that can be written"
_RESOLVER = Path("/etc/resolv.conf")
_ETC_PARTS = (
    "passwd",
    "group",
    "nsswitch.conf",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "ssl/certs",
    "ssl/openssl.cnf",
    "pki/tls/certs",
    "pki/ca-trust",
    "ca-certificates",
    "alternatives",
    "localtime",
    "timezone",
    "hosts",
    "terminfo",
    "inputrc",
    "mime.types",
)
_RESOLV_CONF = Path(__file__).with_name("resolv.conf")
_SECRET_NAME = re.compile(r"(^|_)(TOKEN|KEY|SECRET|PASSWORD|CREDENTIALS?)$", re.IGNORECASE)


@dataclass(frozen=True)
class SystemView:
    """What every sandbox shows; determined when the `BubblewrapSandbox` is created."""

    bwrap: str
    """Path of bubblewrap; empty if it is not installed."""
    search_path: str
    """PATH inside the sandbox, unless the spec sets another."""
    home: Path
    """The home folder, shown as an empty folder."""
    toolchain: tuple[Path, ...]
    """Folders that are shown read-only in addition to the system."""
    mechanisms: Mechanisms = field(default_factory=Mechanisms)
    """The limits that can be set on this machine."""
    landlock_abi: int = 0
    """The version of Landlock that the kernel offers; 0 if it cannot be used."""
    env: str = ""
    """Path of an `env` that can ignore signals (coreutils 8.31); if empty, Ctrl-C ends the whole sandbox."""


class BubblewrapSandbox:
    """Implements the port `Sandbox` with bubblewrap.

    Args:
        environ: Where PATH and HOME are read from; by default this process's environment.
        limits: The limits of programs whose spec sets none.
    """

    def __init__(self, environ: Mapping[str, str] | None = None, limits: Limits | None = None) -> None:
        self._limits = limits
        environ = os.environ if environ is None else environ
        search_path = environ.get("PATH", os.defpath)
        home = Path(environ.get("HOME") or Path.home())
        package = Path(__file__).parents[2]
        bwrap = shutil.which("bwrap", path=search_path) or ""
        self._view = SystemView(
            bwrap=bwrap,
            search_path=search_path,
            home=home,
            toolchain=find_toolchain_paths(search_path, home, package=package),
            mechanisms=find_mechanisms(bwrap, _output_of([bwrap, "--help"])) if bwrap else Mechanisms(),
            landlock_abi=find_abi(),
            env=_find_env(search_path),
        )
        self._report: SandboxReport | None = None
        self._probing = asyncio.Lock()

    async def probe(self) -> SandboxReport:
        """Return which protections work here, found out by trying forbidden writes, reads and connections.

        Tried once per object; later calls return the same report. If no sandbox works, nothing is raised: the level of
        the report is `none`, with the reason and a remedy.

        Raises:
            SandboxUnavailable: It cannot be tried, as no temporary folder or no listening port can be created; the next
                call tries again.
        """
        async with self._probing:
            if self._report is None:
                try:
                    self._report = await self._try()
                except OSError as error:  # no report of level `none`: agents would run without a sandbox that works
                    reason = (error.strerror or str(error)).partition(" in [")[0]
                    raise SandboxUnavailable(f"the sandbox cannot be tried: {reason}", hint=_ROOM) from error
            return self._report

    async def _try(self) -> SandboxReport:
        if sys.platform == "darwin":
            return _nothing_holds("there is none for macOS yet (sandbox-exec is not used)", "use a Linux machine or VM")
        if not self._view.bwrap:
            return _nothing_holds("bubblewrap is not installed", INSTALL)
        findings = await try_to_get_out(
            lambda argv, spec: self.wrap(argv, spec, SandboxLevel.BUBBLEWRAP), self._view.bwrap
        )
        if findings.problem:
            return _nothing_holds(findings.problem, remedy_for(findings.problem, read_kernel(), self._view.bwrap))
        limits = self._view.mechanisms.describe(has_process_limit=findings.has_process_limit)
        second = await try_landlock(self._view.landlock_abi)
        if not second.works:
            self._view = replace(self._view, landlock_abi=0)
        layers = {**_layers(findings), "landlock": second.words, "limits": limits}
        return SandboxReport(SandboxLevel.BUBBLEWRAP, layers)

    def choose(self, mode: SandboxMode, report: SandboxReport) -> SandboxLevel:
        """Return the level for new instances: `none` for the mode `off`, else the level in the report.

        Raises:
            SandboxUnavailable: The mode is `strict`, and no sandbox works here.
        """
        if mode == "off":
            return SandboxLevel.NONE
        if mode == "strict" and report.level is SandboxLevel.NONE:
            reason = report.layers["filesystem"].removeprefix("none: ")
            raise SandboxUnavailable(f"the sandbox is not available: {reason}", hint=report.remedy or INSTALL)
        return report.level

    def wrap(self, argv: Sequence[str], spec: SandboxSpec, level: SandboxLevel) -> list[str]:
        """Return the argv that runs `argv` in the sandbox; with level `none`, `argv` unchanged. Starts nothing.

        A spec without limits gets those that this object was created with. The thread that starts it must outlive it:
        bubblewrap ends with its parent thread (`PR_SET_PDEATHSIG`, prctl(2)).

        Raises:
            Refused: The name of a variable in the spec's environment looks like that of a secret (code
                `sandbox.environment`).
        """
        if level is SandboxLevel.NONE:
            return list(argv)
        limited = replace(spec, limits=self._limits) if spec.limits is None else spec
        return bubblewrap_argv(argv, limited, self._view)


def bubblewrap_argv(argv: Sequence[str], spec: SandboxSpec, view: SystemView) -> list[str]:
    """Return the command line that runs a program in a sandbox; starts nothing and reads no file.

    Limits and layers that `view` does not offer are left out, and so are links that collide with what is shown.

    Args:
        argv: The program and its arguments.
        spec: What the sandbox shows and allows.
        view: What this machine offers, and what every sandbox shows.

    Raises:
        Refused: The name of a variable in the spec's environment looks like that of a secret (code
            `sandbox.environment`).
    """
    signals = "INT,QUIT"
    spec = _with_possible_links(spec, view)
    has_terminal = bool(view.env) and not spec.own_session
    command = outer_argv(spec.limits, view.mechanisms) if spec.limits else []
    command += [view.env, f"--ignore-signal={signals}"] * has_terminal
    command += [view.bwrap, "--unshare-all", "--die-with-parent", "--cap-drop", "ALL"]
    if spec.share_network:
        command.append("--share-net")
    elif spec.serves_names and view.mechanisms.can_serve_names:
        command += ["--cap-add", "CAP_NET_BIND_SERVICE"]
    if spec.own_session:
        command.append("--new-session")
    command += _environment(spec, view)
    command += ["--proc", "/proc", "--dev", "/dev"]
    instead = {place: source for source, place in spec.shown_as}
    if not spec.share_network:
        instead[_RESOLVER] = _RESOLV_CONF
    size = ["--size", str(spec.limits.temporary_mb * 1024 * 1024)] if spec.limits and view.mechanisms.can_size else []
    mounts = list(_mounts(spec, view))
    for flag, path in mounts:
        command += [*size, flag, str(path)] if flag == "--tmpfs" else [flag, str(instead.get(path, path)), str(path)]
    for target, place in spec.links:
        command += ["--symlink", str(target), str(place)]
    for path in (*spec.hidden, Path("/"), Path("/dev")):
        command += ["--remount-ro", str(path)]
    command += ["--chdir", str(spec.cwd), "--"]
    command += inner_argv(spec.limits, view.mechanisms) if spec.limits else []
    if spec.second_layer and view.landlock_abi >= LEAST_ABI:
        command += landlock_argv(_writable(spec, view, mounts))
    return command + [view.env, f"--default-signal={signals}"] * has_terminal + list(argv)


def _output_of(argv: Sequence[str]) -> str:
    try:
        done = subprocess.run(argv, capture_output=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return (done.stdout + done.stderr).decode("utf-8", "replace")


def _find_env(search_path: str) -> str:
    env_program = shutil.which("env", path=search_path)
    if env_program is None:
        return ""
    argv = [env_program, "--ignore-signal=INT", env_program, "--default-signal=INT", "true"]
    try:
        done = subprocess.run(argv, capture_output=True, timeout=5, check=False, env={"PATH": search_path})
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return env_program if done.returncode == 0 else ""


def _environment(spec: SandboxSpec, view: SystemView) -> list[str]:
    if spec.keep_environment:
        pairs = dict(spec.environment)
        flags: list[str] = []
    else:
        pairs = {"PATH": view.search_path, "HOME": str(view.home), **spec.environment}
        flags = ["--clearenv"]
    for name, value in pairs.items():
        if _SECRET_NAME.search(name):
            raise Refused(
                f"{name} looks like a secret and would be visible in the process list",
                hint="pass it in a file that only you can read",
                code="sandbox.environment",
            )
        flags += ["--setenv", name, value]
    return flags


def _mounts(spec: SandboxSpec, view: SystemView) -> Iterator[tuple[str, Path]]:
    """Yield bubblewrap's flag and the path of each mount of a sandbox, once per path and parents before children."""
    wanted: dict[Path, str] = {Path(name): "--tmpfs" for name in ("/tmp", "/run", "/var/tmp", "/dev/shm")}
    if view.home != Path("/"):
        wanted[view.home] = "--tmpfs"
    linked = {place for _, place in spec.links}
    toolchain = [path for path in view.toolchain if linked.isdisjoint((path, *path.parents))]
    shown: Iterable[Path] = (*SYSTEM_PATHS, *(Path("/etc") / part for part in _ETC_PARTS), *toolchain)
    wanted.update(dict.fromkeys(shown, "--ro-bind-try"))
    wanted[_RESOLVER] = "--ro-bind-try"
    wanted.update(dict.fromkeys(spec.hidden, "--tmpfs"))
    wanted[spec.worktree] = "--bind" if spec.worktree_writable else "--ro-bind"
    wanted.update(dict.fromkeys(spec.read_write, "--bind-try"))
    wanted.update(dict.fromkeys((place for _, place in spec.shown_as), "--bind"))
    wanted.update(dict.fromkeys(spec.read_only, "--ro-bind-try"))
    for path in _shown_links(wanted):
        del wanted[path]
        wanted.setdefault(Path(os.path.realpath(path)), "--ro-bind-try")
    for path in sorted(wanted, key=lambda item: (len(item.parts), item)):
        yield wanted[path], path


def _shown_links(wanted: Mapping[Path, str]) -> list[Path]:
    """Return the read-only paths that are links and that a mounted folder shows already: nothing can be mounted there.

    Such is the Python of a virtual environment, in a command for a filter of git.
    """
    links = []
    for path, flag in wanted.items():
        nearest = next((wanted[parent] for parent in path.parents if parent in wanted), "")
        if flag.startswith("--ro-bind") and "bind" in nearest and path.is_symlink():
            links.append(path)
    return links


def _writable(spec: SandboxSpec, view: SystemView, mounts: Iterable[tuple[str, Path]]) -> list[Path]:
    """Return what stays writable under Landlock: the writable mounts, devices, and the process's own files in /proc.

    A rule holds for everything below its path. So the person's home is not among them, although an empty folder is
    mounted there: toolchains, checkout and git folder are usually mounted below it.
    """
    closed = {*spec.hidden, view.home}
    kept = {path for flag, path in mounts if flag in ("--bind", "--bind-try", "--tmpfs")} - closed
    return [Path("/dev"), Path("/proc"), *sorted(kept)]


def _with_possible_links(spec: SandboxSpec, view: SystemView) -> SandboxSpec:
    """Return the spec without the links whose place collides with something that the sandbox shows.

    That is a place that contains a path which the spec shows, or that is or lies inside such a path, a system path or a
    toolchain of `view`. A toolchain folder that contains a path of the spec does not count.
    """
    if not spec.links:
        return spec
    named = {spec.worktree, *spec.read_only, *spec.read_write, *(place for _, place in spec.shown_as)}
    holding = {parent for path in named for parent in path.parents}
    shown = {*named, *SYSTEM_PATHS, *(path for path in view.toolchain if path not in holding)}
    possible = [
        (target, place)
        for target, place in spec.links
        if place not in holding and shown.isdisjoint((place, *place.parents))
    ]
    return replace(spec, links=tuple(possible))


def _layers(findings: Findings) -> dict[str, str]:
    legacy = Path("/proc/sys/dev/tty/legacy_tiocsti")
    closed = legacy.exists() and legacy.read_text(encoding="ascii").strip() == "0"
    return {
        "filesystem": findings.version,
        "network": "own namespace",
        "names": "lookups refused and recorded" if findings.serves_names else "lookups refused, not recorded",
        "processes": "own namespace",
        "terminal": "own pane, TIOCSTI refused by the kernel" if closed else "own pane",
    }


def _nothing_holds(reason: str, remedy: str) -> SandboxReport:
    return SandboxReport(
        SandboxLevel.NONE,
        {
            "filesystem": f"none: {reason}",
            "network": "none",
            "names": "none",
            "landlock": "none",
            "processes": "none",
            "terminal": "own pane",
            "limits": "none",
        },
        remedy,
    )
