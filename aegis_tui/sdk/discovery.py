"""Where a workspace keeps its files, and how to find or start its hub (contract 1).

Synchronous and light, because every command runs it first. Async callers use `asyncio.to_thread`.
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
from aegis_tui.sdk.life import HUB_LOG_BYTES as HUB_LOG_BYTES
from aegis_tui.sdk.life import SILENT_S, StartWatch, Told, open_log, tail
from aegis_tui.sdk.private_file import load_record
from aegis_tui.sdk.quick import HubAddress, HubQuick, address_from

SOCKET_PATH_BYTES = 104
"""The longest unix socket path that all supported systems accept, in bytes (the limit of macOS)."""

_PROC = Path("/proc")
LONGEST_SOCKET_NAME = "gateway.sock"
_ROOM_BYTES = 1 << 18
"""Free space that a hub needs to write its first log lines; with less, its log would stay empty."""
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
HEALTH_DEADLINE_S = 5.0
"""A hub that sends no reply within this time counts as not answering."""
ENDING_S = 2.0
"""How long a hub that does not answer is given to end: a killed process takes a moment on a busy machine."""
_GIT_DEADLINE_S = 10.0
_POLL_S = 0.01


@dataclass(frozen=True, slots=True)
class WorkspacePaths:
    """The folders and files of one workspace. Only `create` creates folders; the properties only build paths."""

    key: str
    """First 12 hex digits of the SHA-256 of the git common dir's real path."""
    state_dir: Path
    """Kept over restarts: event log, log files, instances, worktrees."""
    runtime_dir: Path
    """Holds the sockets and hub.json; its path is short enough for a socket path."""

    @property
    def log_db(self) -> Path:
        """The SQLite file of the event log."""
        return self.state_dir / "log.db"

    @property
    def hub_log(self) -> Path:
        """The log file of the hub process."""
        return self.state_dir / "logs" / "hub.log"

    @property
    def hub_lock(self) -> Path:
        """The file that the running hub has locked; it contains its pid and runtime folder."""
        return self.state_dir / "hub.lock"

    @property
    def instances_dir(self) -> Path:
        """The folder that holds one folder per instance, mode 0700: brief, launch record, token."""
        return self.state_dir / "instances"

    @property
    def worktrees_dir(self) -> Path:
        """The folder, outside the repository, that holds one worktree per instance."""
        return self.state_dir / "worktrees"

    @property
    def hub_json(self) -> Path:
        """The file with the hub's address and the person's token; mode 0600."""
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
        """Return the private folder of one instance; it is created by the code that starts the instance."""
        return self.instances_dir / instance_id

    def create(self) -> None:
        """Create the folders, mode 0700, and check that only the user can write to the runtime folder.

        Raises:
            HubUnavailable: Another user owns the runtime folder or can write to it.
            OSError: A folder cannot be created.
        """
        for folder in (self.state_dir, self.hub_log.parent, self.instances_dir, self.worktrees_dir):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        create_runtime_dir(self.runtime_dir)


def create_runtime_dir(folder: Path) -> None:
    """Create a runtime folder and its parent, mode 0700, and check that only the user can write to them.

    Raises:
        HubUnavailable: Another user owns one of them or can write to it.
        OSError: One cannot be created.
    """
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    _check_private(folder.parent)
    _check_private(folder)


def create_with_room(paths: WorkspacePaths) -> None:
    """Create the folders of a workspace, and check that the disk has room for what a hub writes first.

    Raises:
        HubUnavailable: The disk is full or cannot be written, or another user can write to the runtime folder.
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
    """Return the error, for the caller to raise, for a workspace folder that cannot be written, and what to do."""
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
    """Return the key of the repository that contains `folder`; it is the same in each of its worktrees.

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
        raise GitUnavailable("git is not installed", "install git 2.38 or newer") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise GitUnavailable(f"git did not answer for {folder}", "try `git status` there") from error
    if done.returncode != 0:
        raise no_repository(folder, done.stderr)
    return workspace_key(Path(done.stdout.rstrip("\n")))


def no_repository(folder: Path, said: str) -> GitUnavailable:
    """Return the error that says why git finds no repository at `folder`, from git's standard error in any language.

    Git refuses to read a folder of another user and prints a command that permits it; that command becomes the hint.
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
    """Return the workspace key of a git common dir: 12 hex digits of the SHA-256 of its real path (contract 1)."""
    return hashlib.sha256(os.fsencode(git_common_dir.resolve())).hexdigest()[:12]


def workspace_paths(key: str, environ: Mapping[str, str]) -> WorkspacePaths:
    """Return the paths of workspace `key` by the variables XDG_STATE_HOME, XDG_RUNTIME_DIR and HOME, if set."""
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
    """Return the address of the hub that runs for this workspace and answers within `HEALTH_DEADLINE_S`, or None.

    A hub.json is ignored if its process has ended, or if its pid belongs to another program now.
    """
    running = _running(paths)
    return next((address for address in running if HubQuick(address, timeout_s=HEALTH_DEADLINE_S).is_healthy()), None)


def find_process(paths: WorkspacePaths) -> HubAddress | None:
    """Return the address of the hub whose process runs for this workspace, even if it does not answer, or None."""
    return next(_running(paths), None)


def _running(paths: WorkspacePaths) -> Iterator[HubAddress]:
    for folder in dict.fromkeys((paths.runtime_dir, _recorded_runtime_dir(paths))):
        address = load_address(folder / "hub.json") if folder else None
        if address and is_running(address.pid, address.start_time):
            yield address


def _recorded_runtime_dir(paths: WorkspacePaths) -> Path | None:
    """Return the runtime folder in the lock file, where the hub has its files; None if the file names none."""
    record = load_record(paths.hub_lock)
    folder = record.get("runtime_dir")
    return Path(folder) if isinstance(folder, str) else None


def load_address(path: Path) -> HubAddress | None:
    """Return the address in a hub.json that the user owns; None if there is no such file or it is not valid."""
    try:
        if path.lstat().st_uid != os.getuid():
            return None
        return address_from(load_record(path))
    except (OSError, TypeError):
        return None


def process_start_time(pid: int) -> float | None:
    """Return the start time of process `pid` in seconds; None if there is no such process or it is a zombie.

    Compare it only with another value from this machine since its last boot: on Linux it counts from the boot, because
    the time of day may be changed while a process runs (proc_pid_stat(5)).
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
    """Return whether `pid` is still the process whose `process_start_time` was `start_time`."""
    return process_start_time(pid) == start_time


def hub_command(root: Path) -> list[str]:
    """Return the argv that runs a hub in the foreground for the repository at `root`.

    `-P` is needed because it starts in a repository, and a `json.py` there must not be imported instead of Python's.
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
    """Start a hub in its own session, wait until it or one started elsewhere answers, and return that one's address.

    A hub that shows signs of life is waited for without a limit, because a start can take long on a loaded machine.

    Args:
        paths: The workspace's folders; created if they are missing.
        root: A folder in the repository.
        command: The argv to run instead of `hub_command(root)`.
        told: Called every few seconds with a line that says what a slow start is doing.
        silent_s: Give up when the hub has shown no sign of life for this long, in seconds.

    Raises:
        HubUnavailable: The folders or the log cannot be written, or `command` cannot be run; or the hub ended, or shows
            no sign of life: then it is killed, and the message ends with its log's last lines.
    """
    create_with_room(paths)
    try:
        log, said_before = open_log(paths.hub_log)
    except OSError as error:
        raise cannot_write(paths.hub_log.parent, error) from error
    process = _spawn(list(command) or hub_command(root), root, log)
    importlib.import_module("aegis_tui.sdk.unix_http")  # used by `find_hub`; imported while the hub starts
    watch = StartWatch(process.pid, paths.hub_log, said_before=said_before, told=told)
    how = "did not start"
    while True:
        ended = process.poll() is not None
        if address := find_hub(paths):
            if address.pid != process.pid:
                # Another start was faster. Our process would become the hub if that one ended before ours gives up.
                process.kill()
            _reap_later(process)
            return address
        if ended and (first := _starting_elsewhere(paths)) is not None:
            watch.follow(first)
        elif ended and find_hub(paths) is None:  # it has not written hub.json since the check above either
            break
        if (still_s := watch.look()) > silent_s:
            how = f"(process {watch.pid}) has done nothing for {still_s:.0f} s"
            break
        time.sleep(_POLL_S)
    process.kill()
    process.wait()
    raise HubUnavailable(
        f"the hub {how}{tail(paths.hub_log, said_before)}", f"read {paths.hub_log}, or run `aegis-tui doctor`"
    )


def _starting_elsewhere(paths: WorkspacePaths) -> int | None:
    """Return the pid of the process that holds the workspace's lock but has not written hub.json yet, or None."""
    pid = load_record(paths.hub_lock).get("pid")
    if not isinstance(pid, int) or process_start_time(pid) is None:
        return None
    published = find_process(paths)
    return pid if published is None or published.pid != pid else None


def _spawn(argv: list[str], root: Path, log: int) -> subprocess.Popen[bytes]:
    """Start `argv` in its own session; its output goes to `log`, closed here. `HubUnavailable` if it cannot be run."""
    try:
        return subprocess.Popen(
            argv,
            cwd=root,
            env={name: value for name, value in os.environ.items() if name != "AEGIS_INSTANCE"},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    except OSError as error:
        raise HubUnavailable(f"cannot run {argv[0]}: {error.strerror}", "install aegis-tui again") from error
    finally:
        os.close(log)


def _reap_later(process: subprocess.Popen[bytes]) -> None:
    """Collect the hub's exit status in a thread: if it ends while we run, a zombie would look alive."""
    threading.Thread(target=process.wait, name="hub-reaper", daemon=True).start()


def ensure_hub(
    paths: WorkspacePaths, root: Path, *, command: Sequence[str] = (), told: Told | None = None
) -> HubAddress:
    """Return the address of this workspace's hub; start one, and wait, if none answers. Arguments as in `start_hub`.

    Raises:
        HubUnavailable: No hub answers and none can be started, as in `start_hub`.
    """
    try:
        return find_hub(paths) or start_hub(paths, root, command=command, told=told)
    except AegisError:
        if address := find_hub(paths):
            return address
        raise
