"""A temporary workspace for end-to-end runs: a repository, its own XDG folders, and the installed program.

Every process that it starts can be recognised by its folders, and is ended by `close`.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from aegis_tui.errors import AegisError
from aegis_tui.sdk.discovery import WorkspacePaths, find_hub, workspace_key_of, workspace_paths
from aegis_tui.sdk.quick import HubQuick

_DEADLINE_S = 120.0
_POLL_S = 0.05
_SLOW_START = re.compile(r"^the hub \(process \d+\) has been starting for .*\n", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class CommandResult:
    """How one command ended."""

    code: int
    out: str
    err: str

    @property
    def problems(self) -> str:
        """The text on stderr, without progress messages of a hub that starts slowly on a busy machine."""
        return _SLOW_START.sub("", self.err)

    @property
    def json(self) -> dict[str, Any]:
        """The JSON object on stdout.

        Raises:
            ValueError: stdout is not JSON.
            TypeError: It is not an object.
        """
        value = json.loads(self.out)
        if not isinstance(value, dict):
            raise TypeError(f"not an object: {self.out[:200]}")
        return value


class ScratchWorkspace:
    """A temporary folder with the repository `repo`, and commands that run in it with their own environment.

    The folder's path is short, because socket paths can have 104 bytes at most.
    """

    def __init__(self, *, environ: Mapping[str, str] = os.environ) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="ae-"))
        self.root = self.folder / "repo"
        self._paths: WorkspacePaths | None = None
        self._started: list[subprocess.Popen[str]] = []
        for name in ("state", "run", "config", "home", "tmux"):
            (self.folder / name).mkdir(mode=0o700)
        kept = {name: environ[name] for name in ("PATH", "LANG", "LC_ALL", "TZ") if name in environ}
        scripts = str(Path(sys.executable).parent)
        self.environ = {
            **kept,
            "PATH": os.pathsep.join([scripts, kept.get("PATH", os.defpath)]),
            "LANG": kept.get("LANG", "C.UTF-8"),
            "HOME": str(self.folder / "home"),
            "XDG_STATE_HOME": str(self.folder / "state"),
            "XDG_RUNTIME_DIR": str(self.folder / "run"),
            "XDG_CONFIG_HOME": str(self.folder / "config"),
            "TMUX_TMPDIR": str(self.folder / "tmux"),
        }

    def init(self, files: Mapping[str, str], *, identity: bool = True) -> str:
        """Make `repo` a git repository with one commit of `files` on `main`; return the commit's id.

        Args:
            files: Path -> text.
            identity: Whether to set a user name and an address in its configuration; without them git may refuse the
                commit.

        Raises:
            RuntimeError: git failed.
        """
        self.root.mkdir(exist_ok=True)
        self.git("init", "-q", "-b", "main")
        if identity:
            self.git("config", "user.name", "Person")
            self.git("config", "user.email", "person@example.org")
        for name, text in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
        self.git("add", "-A")
        self.git("commit", "-q", "-m", "chore: start")
        return self.git("rev-parse", "HEAD")

    def git(self, *arguments: str) -> str:
        """Run git in the repository; return its output without the last line end.

        Raises:
            RuntimeError: git failed.
        """
        done = subprocess.run(
            ["git", *arguments],
            cwd=self.root,
            env=self.environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        if done.returncode != 0:
            raise RuntimeError(f"git {arguments[0]}: {done.stderr.strip()}")
        return done.stdout.removesuffix("\n")

    def aegis(self, *arguments: str, timeout_s: float = _DEADLINE_S, folder: Path | None = None) -> CommandResult:
        """Run one `aegis-tui` command to its end.

        Raises:
            subprocess.TimeoutExpired: It took more than `timeout_s` seconds.
        """
        done = subprocess.run(
            self.argv(*arguments),
            cwd=folder or self.root,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        return CommandResult(done.returncode, done.stdout, done.stderr)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start one `aegis-tui` command and return at once; read its output with `communicate`. `close` kills it."""
        process = subprocess.Popen(
            self.argv(*arguments),
            cwd=self.root,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._started.append(process)
        return process

    def argv(self, *arguments: str) -> list[str]:
        """Return the command line that runs `aegis-tui` with these arguments."""
        return [sys.executable, "-P", "-m", "aegis_tui", *arguments]

    def hub(self) -> HubQuick | None:
        """Return a client of the hub that runs here; None if none runs. It needs no process, so it is fast.

        Raises:
            AegisError: There is no repository yet (`init`).
        """
        if self._paths is None:
            self._paths = workspace_paths(workspace_key_of(self.root), self.environ)
        address = find_hub(self._paths)
        return HubQuick(address) if address else None

    def events(self) -> list[dict[str, Any]]:
        """Return all events of the log; empty if no hub answers, and those read until then if it ceases to answer."""
        events: list[dict[str, Any]] = []
        with contextlib.suppress(AegisError):
            hub = self.hub()
            while hub and (page := hub.events(after=events[-1]["seq"] if events else 0)):
                events += page
        return events

    def until(self, condition: Callable[[], Any], *, what: str, timeout_s: float = 60.0) -> Any:
        """Wait until `condition` returns a true value, and return that value.

        Args:
            condition: Called again and again.
            what: What is waited for, for the error message.
            timeout_s: How long to wait, in seconds.

        Raises:
            TimeoutError: It did not within `timeout_s` seconds.
        """
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            if value := condition():
                return value
            time.sleep(_POLL_S)
        raise TimeoutError(f"waited {timeout_s:.0f} s for {what}")

    def status(self) -> dict[str, Any]:
        """Return the hub's `stage`, `instances` (not the reclaimed ones), `locks` and `progress`; {} without a hub."""
        try:
            state = hub.state() if (hub := self.hub()) else None
        except AegisError:
            return {}
        if state is None:
            return {}
        living = [item for item in state["instances"] if item["phase"] != "reclaimed"]
        return {
            "stage": (state["run"] or {}).get("stage"),
            "instances": living,
            "locks": [{"path": name, **lock} for name, lock in state["locks"].items()],
            "progress": state["progress"],
        }

    def hub_pid(self) -> int:
        """Return the process id of the hub that runs.

        Raises:
            ValueError: No hub runs, so that `hub status` prints no JSON.
            KeyError: No hub runs, so that its JSON has no `pid`.
        """
        if self._paths is None or (address := find_hub(self._paths)) is None:
            return int(self.aegis("hub", "status", "--json").json["pid"])
        return address.pid

    def processes(self) -> list[psutil.Process]:
        """Return every process, except this one, with this folder's path in its cwd, arguments or environment.

        Those that may not be examined, or end meanwhile, are left out.
        """
        processes = []
        marks = (str(self.folder), str(self.folder.resolve()))
        for process in psutil.process_iter():
            if process.pid == os.getpid():
                continue
            with contextlib.suppress(psutil.Error):
                texts = [process.cwd(), *process.cmdline(), *process.environ().values()]
                if any(mark in text for mark in marks for text in texts):
                    processes.append(process)
        return processes

    def leftovers(self) -> list[str]:
        """Return what a finished run should not leave behind: processes, sockets and worktrees, one line each.

        Running git commands get two seconds to end, because they end by themselves.
        """
        psutil.wait_procs([item for item in _living(self.processes()) if _name_of(item) == "git"], timeout=2)
        leftovers = [f"process {' '.join(item.cmdline())[:120]}" for item in _living(self.processes())]
        for place in ("run", "tmux"):
            leftovers += [f"socket {path.name}" for path in (self.folder / place).rglob("*") if path.is_socket()]
        for path in (self.folder / "state").glob("aegis-tui/*/worktrees/*"):
            leftovers.append(f"worktree {path.name}")
        for path in (self.folder / "state").glob("aegis-tui/*/scratch/*"):
            leftovers.append(f"scratch {path.name}")
        return leftovers

    def close(self) -> None:
        """End the processes that are left (SIGTERM, after 3 s SIGKILL) and remove the folder; raises nothing."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            living = _living(self.processes())
            for process in living:
                with contextlib.suppress(psutil.Error):
                    process.send_signal(number)
            psutil.wait_procs(living, timeout=3)
        for started in self._started:
            _reap(started)
        shutil.rmtree(self.folder, ignore_errors=True)


def _reap(process: subprocess.Popen[str]) -> None:
    """Kill a command and close its pipes, so that its resources are not reported as leaks of a later test."""
    process.kill()
    process.wait()
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()


def _name_of(process: psutil.Process) -> str:
    try:
        return process.name()
    except psutil.Error:
        return ""


def _living(processes: Sequence[psutil.Process]) -> list[psutil.Process]:
    living = []
    for process in processes:
        with contextlib.suppress(psutil.Error):
            if process.status() != psutil.STATUS_ZOMBIE:
                living.append(process)
    return living
