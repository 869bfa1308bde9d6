"""Where a workspace keeps its things, and how to find or start its hub (contract 1).

Synchronous and light: every command runs it first. Async callers use `asyncio.to_thread`.
"""

from __future__ import annotations

import errno
import hashlib
import importlib
import os
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from aegis_tui.errors import AegisError, GitUnavailable, HubUnavailable
from aegis_tui.sdk.life import SILENT_S, StartWatch, Told, tail
from aegis_tui.sdk.private_file import load_record
from aegis_tui.sdk.quick import HubAddress, HubQuick, address_from

SOCKET_PATH_BYTES = 104
"""The longest path of a unix socket that every supported system takes (macOS)."""

_PROC = Path("/proc")
LONGEST_SOCKET_NAME = "gateway.sock"
HUB_LOG_BYTES = 8 << 20
"""A larger hub.log is put aside at the next start; one older is kept."""

_ROOM_BYTES = 1 << 18
"""What a hub writes before it can say anything; with less room than this its log would stay empty."""
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

HEALTH_DEADLINE_S = 5.0
"""A hub that says nothing for this long does not answer."""
_GIT_DEADLINE_S = 10.0
_POLL_S = 0.01


@dataclass(frozen=True, slots=True)
class WorkspacePaths:
    """The folders of one workspace. Reading a path creates nothing; `create` does."""

    key: str
    """First 12 hex of the sha256 of the git common dir's real path."""
    state_dir: Path
    """Kept over restarts: log, logs, instances, worktrees."""
    runtime_dir: Path
    """Sockets and hub.json; short enough for a socket path."""

    @property
    def log_db(self) -> Path:
        """The durable log."""
        return self.state_dir / "log.db"

    @property
    def hub_log(self) -> Path:
        """What the hub process says."""
        return self.state_dir / "logs" / "hub.log"

    @property
    def hub_lock(self) -> Path:
        """Locked by the hub that runs; holds its pid and runtime folder."""
        return self.state_dir / "hub.lock"

    @property
    def instances_dir(self) -> Path:
        """One 0700 folder an instance: brief, launch record, token."""
        return self.state_dir / "instances"

    @property
    def worktrees_dir(self) -> Path:
        """One worktree an instance, outside the repository."""
        return self.state_dir / "worktrees"

    @property
    def hub_json(self) -> Path:
        """How to reach the hub, with the person's token; 0600."""
        return self.runtime_dir / "hub.json"

    @property
    def hub_socket(self) -> Path:
        """The hub's unix socket."""
        return self.runtime_dir / "hub.sock"

    @property
    def gateway_socket(self) -> Path:
        """The gateway's unix socket."""
        return self.runtime_dir / LONGEST_SOCKET_NAME

    def instance_dir(self, instance_id: str) -> Path:
        """The private folder of one instance; made by who starts it."""
        return self.instances_dir / instance_id

    def create(self) -> None:
        """Make the folders, 0700, and check that the runtime folder is ours alone.

        Raises:
            HubUnavailable: Somebody else owns the runtime folder or can write to it.
        """
        for folder in (self.state_dir, self.hub_log.parent, self.instances_dir, self.worktrees_dir):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        create_runtime_dir(self.runtime_dir)


def create_runtime_dir(folder: Path) -> None:
    """Make a runtime folder, 0700, and check that it is ours alone.

    Raises:
        HubUnavailable: Somebody else owns it or can write to it.
    """
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    _check_private(folder.parent)
    _check_private(folder)


def create_with_room(paths: WorkspacePaths) -> None:
    """Make the folders of a workspace, and find out whether the disk takes what a hub writes first.

    Raises:
        HubUnavailable: It does not, or the runtime folder is not ours alone.
    """
    probe = paths.state_dir / f".room.{os.getpid()}"
    try:
        paths.create()
        try:
            probe.write_bytes(bytes(_ROOM_BYTES))
        finally:
            probe.unlink(missing_ok=True)
    except OSError as error:
        raise cannot_write(paths.state_dir, error) from error


def cannot_write(folder: Path, error: OSError) -> HubUnavailable:
    """What the system said about a folder of the workspace, with what to do."""
    if error.errno in _FULL:
        return HubUnavailable(f"the disk of {folder} is full: {error.strerror}", "free space there, then try again")
    return HubUnavailable(f"cannot write in {folder}: {error.strerror}", f"check who owns {folder}")


def _check_private(folder: Path) -> None:
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o022:
        raise HubUnavailable(
            f"{folder} is not a folder that only you can write to",
            f"remove {folder}, or set XDG_RUNTIME_DIR to a private folder",
        )


def workspace_key_of(folder: Path) -> str:
    """The key of the repository that `folder` lies in; the same from each of its worktrees.

    Raises:
        GitUnavailable: git is missing, does not answer, or `folder` is not in a repository.
    """
    argv = ["git", "-C", str(folder), "rev-parse", "--path-format=absolute", "--git-common-dir"]
    try:
        done = subprocess.run(
            argv,
            env={**os.environ, "LC_ALL": "C"},
            capture_output=True,
            encoding="utf-8",
            errors="surrogateescape",
            timeout=_GIT_DEADLINE_S,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    except FileNotFoundError as error:
        raise GitUnavailable("git is not installed", "install git 2.40 or newer") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise GitUnavailable(f"git did not answer for {folder}", "try `git status` there") from error
    if done.returncode != 0:
        raise no_repository(folder, done.stderr)
    return workspace_key(Path(done.stdout.rstrip("\n")))


def no_repository(folder: Path, said: str) -> GitUnavailable:
    """Why git finds no repository at a folder, from what it said on standard error in any language.

    A folder of another user is one that git will not read, and git names the command that lets it.
    """
    lines = [line.strip() for line in said.splitlines()]
    command = next((line for line in lines if line.startswith("git config") and "safe.directory" in line), "")
    if command or "dubious ownership" in said:
        first = next((line.removeprefix("fatal: ") for line in lines if line), "dubious ownership")
        return GitUnavailable(
            f"git does not trust {folder}, which belongs to another user: {first}",
            command or f"git config --global --add safe.directory {folder}",
            code="git.ownership",
        )
    if said.strip() and "not a git repository" not in said:
        return GitUnavailable(f"git cannot read the repository at {folder}: {lines[0]}", "git status")
    return GitUnavailable(f"{folder} is not in a git repository", "run `git init` or go to a repository")


def workspace_key(git_common_dir: Path) -> str:
    """The key for a git common dir (contract 1)."""
    return hashlib.sha256(os.fsencode(git_common_dir.resolve())).hexdigest()[:12]


def workspace_paths(key: str, environ: Mapping[str, str]) -> WorkspacePaths:
    """Where the workspace `key` keeps its things, by the XDG variables of `environ`. Touches no file."""
    home = Path(environ.get("HOME") or Path.home())
    state_home = _absolute(environ.get("XDG_STATE_HOME")) or home / ".local" / "state"
    return WorkspacePaths(key, state_home / "aegis-tui" / key, _runtime_dir(key, environ))


def _runtime_dir(key: str, environ: Mapping[str, str]) -> Path:
    if base := _absolute(environ.get("XDG_RUNTIME_DIR")):
        chosen = base / "aegis-tui" / key
        if base.is_dir() and len(os.fsencode(chosen / "agents" / LONGEST_SOCKET_NAME)) < SOCKET_PATH_BYTES:
            return chosen
    return Path("/tmp") / f"aegis-{os.getuid()}" / key


def _absolute(text: str | None) -> Path | None:
    return Path(text) if text and Path(text).is_absolute() else None


def find_hub(paths: WorkspacePaths) -> HubAddress | None:
    """The hub that runs for this workspace and answers, or None.

    A hub.json whose process is gone, or whose pid now belongs to another program, counts as none.
    """
    running = _running(paths)
    return next((found for found in running if HubQuick(found, timeout_s=HEALTH_DEADLINE_S).is_healthy()), None)


def find_process(paths: WorkspacePaths) -> HubAddress | None:
    """The hub whose process runs for this workspace, also when it does not answer; None when there is none."""
    return next(_running(paths), None)


def _running(paths: WorkspacePaths) -> Iterator[HubAddress]:
    for folder in dict.fromkeys((paths.runtime_dir, _recorded_runtime_dir(paths))):
        address = load_address(folder / "hub.json") if folder else None
        if address and is_running(address.pid, address.start_time):
            yield address


def _recorded_runtime_dir(paths: WorkspacePaths) -> Path | None:
    """The hub may run under another XDG_RUNTIME_DIR (a login over ssh, cron); its lock file says where."""
    record = load_record(paths.hub_lock)
    folder = record.get("runtime_dir")
    return Path(folder) if isinstance(folder, str) else None


def load_address(path: Path) -> HubAddress | None:
    """The address in a hub.json of ours; None for anything else."""
    try:
        if path.lstat().st_uid != os.getuid():
            return None
        return address_from(load_record(path))
    except (OSError, TypeError):
        return None


def process_start_time(pid: int) -> float | None:
    """When the process `pid` started, in seconds; None when there is none or it has ended and is not yet reaped.

    Only compared with another value taken on this machine since it booted: on Linux it counts from the boot, for the
    time of day may be set while a process runs (proc_pid_stat(5)).
    """
    if pid <= 0:
        return None
    if (_PROC / "self" / "stat").exists():
        try:
            fields = (_PROC / str(pid) / "stat").read_bytes().rpartition(b")")[2].split()
        except OSError:
            return None
        return None if fields[0] in (b"Z", b"X") else int(fields[19]) / os.sysconf("SC_CLK_TCK")
    import psutil  # slow to import, and every command line runs this

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.Error:
        return None


def is_running(pid: int, start_time: float) -> bool:
    """True if `pid` is still the process for which `process_start_time` said `start_time`."""
    return process_start_time(pid) == start_time


def hub_command(root: Path) -> list[str]:
    """The argv that runs a hub in the foreground for the repository at `root`.

    `-P`: it starts in a repository, whose own `json.py` must not be imported for Python's.
    """
    return [sys.executable, "-P", "-m", "aegis_tui", "hub", "start", "--foreground", "--root", str(root)]


def start_hub(
    paths: WorkspacePaths,
    root: Path,
    *,
    command: Sequence[str] = (),
    told: Told | None = None,
    silent_s: float = SILENT_S,
) -> HubAddress:
    """Start a hub in a session of its own and return when it answers, however long a loaded machine takes for that.

    Args:
        paths: The workspace's folders; made when missing.
        root: A folder in the repository.
        command: Another argv than `hub_command(root)`.
        told: Hears every few seconds what a start that takes long is doing.
        silent_s: A hub that shows no sign of life for so long is given up.

    Raises:
        HubUnavailable: It ended, or shows no sign of life; the message ends with the tail of its log.
    """
    create_with_room(paths)
    if paths.hub_log.exists() and paths.hub_log.stat().st_size > HUB_LOG_BYTES:
        paths.hub_log.replace(paths.hub_log.with_suffix(".log.1"))
    said_before = paths.hub_log.stat().st_size if paths.hub_log.exists() else 0
    process = _spawn(list(command) or hub_command(root), root, paths.hub_log)
    importlib.import_module("aegis_tui.sdk.unix_http")  # what it is asked by, while it begins
    watch = StartWatch(process.pid, paths.hub_log, said_before=said_before, told=told)
    how = "did not start"
    while True:
        ended = process.poll() is not None
        if address := find_hub(paths):
            if address.pid != process.pid:
                # Another start was first; ours would become a hub of its own if that one ended before it gives up.
                process.kill()
            _reap_later(process)
            return address
        if ended and (first := _starting_elsewhere(paths)) is not None:
            watch.follow(first)
        elif ended and find_hub(paths) is None:  # nor has it published itself since the look above
            break
        if (still_s := watch.look()) > silent_s:
            how = f"(process {watch.pid}) has shown no sign of life for {still_s:.0f} s"
            break
        time.sleep(_POLL_S)
    process.kill()
    process.wait()
    raise HubUnavailable(
        f"the hub {how}{tail(paths.hub_log, said_before)}", f"read {paths.hub_log}, or run `aegis-tui doctor`"
    )


def _starting_elsewhere(paths: WorkspacePaths) -> int | None:
    """The process that holds the workspace's lock and has not published how to reach it yet; None without one."""
    pid = load_record(paths.hub_lock).get("pid")
    if not isinstance(pid, int) or process_start_time(pid) is None:
        return None
    published = find_process(paths)
    return pid if published is None or published.pid != pid else None


def _spawn(argv: list[str], root: Path, log: Path) -> subprocess.Popen[bytes]:
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        return subprocess.Popen(
            argv,
            cwd=root,
            stdin=subprocess.DEVNULL,
            stdout=descriptor,
            stderr=descriptor,
            start_new_session=True,
        )
    except OSError as error:
        raise HubUnavailable(f"cannot run {argv[0]}: {error.strerror}", "install aegis-tui again") from error
    finally:
        os.close(descriptor)


def _reap_later(process: subprocess.Popen[bytes]) -> None:
    """Leave the hub to itself, but collect its exit status if we live longer: a zombie would look alive."""
    threading.Thread(target=process.wait, name="hub-reaper", daemon=True).start()


def ensure_hub(
    paths: WorkspacePaths, root: Path, *, command: Sequence[str] = (), told: Told | None = None
) -> HubAddress:
    """The hub of this workspace, started if none runs; `told` as for `start_hub`.

    Raises:
        HubUnavailable: As `start_hub`.
    """
    try:
        return find_hub(paths) or start_hub(paths, root, command=command, told=told)
    except AegisError:
        if found := find_hub(paths):
            return found
        raise
