"""Finds which limits this machine can set on a sandbox, and builds the argv that sets them.

Per process: setrlimit(2). Per sandbox: control groups, if this process may create one (root, or a delegated subtree).
Without a control group, the number of processes is limited by RLIMIT_NPROC inside the sandbox: since Linux 5.14 it is
counted per user namespace, but it never applies to the machine's root. Sources: setrlimit(2), cgroups(7),
user_namespaces(7).
"""

from __future__ import annotations

import os
import re
import stat
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from aegis_tui.adapters.sandbox.hold import PREFIX
from aegis_tui.config import Limits

_HOLD = str(Path(__file__).with_name("hold.py"))
_MIB = 1024 * 1024
_FILES = {"pids": ("pids.max",), "memory": ("memory.max", "memory.limit_in_bytes")}


@dataclass(frozen=True)
class Group:
    """A folder in which control groups can be created."""

    parent: Path
    file: str
    """The name of the file that sets the limit."""


@dataclass(frozen=True)
class Mechanisms:
    """The mechanisms that are available on this machine."""

    processes: Group | None = None
    memory: Group | None = None
    is_root: bool = False
    can_size: bool = False
    """Whether bubblewrap can limit the size of a folder in memory (0.7 or later)."""
    can_serve_names: bool = False
    """Whether a program inside can get the right to listen on port 53 there (not if bubblewrap is setuid)."""
    memory_bytes: int = 0
    """The machine's memory; 0 if it is not known."""

    def describe(self, *, has_process_limit: bool) -> str:
        """Return one line for the report: what limits processes, memory, folders in memory and files here, if anything.

        Args:
            has_process_limit: Whether a try has shown that the number of processes is limited.
        """
        by = "control group" if self.processes else "RLIMIT_NPROC"
        processes = by if has_process_limit else "not limited (root, and no control group can be created here)"
        memory = "control group" if self.memory else "limited for each process"
        temporary = (
            "limited in size" if self.can_size else "at most half of the memory each (bubblewrap before 0.7, or setuid)"
        )
        return f"processes: {processes}; memory: {memory}; tmpfs folders: {temporary}; files: RLIMIT_FSIZE"


def find_mechanisms(bwrap: str, bwrap_help: str, proc: Path = Path("/proc"), uid: int | None = None) -> Mechanisms:
    """Return which limits can be set on this machine; what cannot be found out counts as missing, so nothing is raised.

    To see whether a control group can be created, one is created empty and removed again. Blocking.

    Args:
        bwrap: Path of bubblewrap; some limits do not work if it is setuid.
        bwrap_help: The output of `bwrap --help`.
        proc: The process file system.
        uid: The user id; by default this process's effective one.
    """
    return Mechanisms(
        processes=_find_group("pids", proc),
        memory=_find_group("memory", proc),
        is_root=(os.geteuid() if uid is None else uid) == 0,
        can_size="--size" in bwrap_help and not _is_setuid(bwrap),
        can_serve_names="--cap-add" in bwrap_help and not _is_setuid(bwrap),
        memory_bytes=_memory_of(proc),
    )


def outer_argv(limits: Limits, mechanisms: Mechanisms) -> list[str]:
    """Return the argv to put before the command line of the sandbox, which sets the limits that hold from outside it.

    These are the size of files and of core dumps (none), the memory of each process, and, if this machine can make
    control groups, the memory and the number of processes of the whole sandbox. Without a limit of memory in `limits`,
    half of the machine's memory is the limit; if that is not known, there is none.
    """
    memory_bytes = _memory_limit(limits, mechanisms)
    values = ((mechanisms.processes, limits.processes), (mechanisms.memory, memory_bytes))
    words: list[str] = []
    for group, value in values:
        if group and value:
            words += ["--group", str(group.parent), group.file, str(value)]
    rlimits = {"RLIMIT_FSIZE": limits.file_mb * _MIB, "RLIMIT_CORE": 0}
    if memory_bytes:
        rlimits["RLIMIT_DATA"] = memory_bytes
    return _hold(words, rlimits)


def inner_argv(limits: Limits, mechanisms: Mechanisms) -> list[str]:
    """Return the argv to put before the program inside the sandbox, which limits the number of its processes.

    Empty if a control group limits it already, and for root, to whom RLIMIT_NPROC does not apply.
    """
    if mechanisms.processes or mechanisms.is_root:
        return []
    return _hold([], {"RLIMIT_NPROC": limits.processes})


def _hold(words: list[str], rlimits: dict[str, int]) -> list[str]:
    """Return the command line of `hold.py`, up to the program that it becomes.

    Args:
        words: Its arguments for control groups.
        rlimits: Name -> value.
    """
    for name, value in rlimits.items():
        words = [*words, "--rlimit", name, str(value)]
    return [sys.executable, "-I", "-S", _HOLD, *words, "--"]


def _memory_limit(limits: Limits, mechanisms: Mechanisms) -> int:
    return limits.memory_mb * _MIB if limits.memory_mb else mechanisms.memory_bytes // 2


def _find_group(controller: str, proc: Path) -> Group | None:
    for parent in group_parents(controller, proc):
        for file in _FILES[controller]:
            if _works(parent, file):
                return Group(parent, file)
    return None


def _works(parent: Path, file: str) -> bool:
    place = parent / f"{PREFIX}try-{os.getpid()}"
    try:
        place.mkdir()
    except OSError:
        return False
    works = os.access(place / file, os.W_OK) and os.access(place / "cgroup.procs", os.W_OK)
    with suppress(OSError):
        place.rmdir()
    return works and os.access(parent / "cgroup.procs", os.W_OK)


def group_parents(controller: str, proc: Path) -> Sequence[Path]:
    """Return the folders in which a control group might be created, of cgroup versions 1 and 2; empty if none is known.

    Args:
        controller: What it is to limit: `pids` or `memory`.
        proc: The process file system.
    """
    try:
        own = dict(_own_groups((proc / "self" / "cgroup").read_text("utf-8")))
        mounts = (proc / "self" / "mounts").read_text("utf-8")
    except OSError:
        return []
    parents = []
    for place, kind, options in re.findall(r"^\S+ (\S+) (cgroup2?) (\S+)", mounts, re.MULTILINE):
        if kind == "cgroup" and controller in options.split(",") and controller in own:
            parents.append(Path(place + own[controller]))
        elif kind == "cgroup2" and "" in own:
            here = Path(place + own[""])
            parents += [here.parent] if own[""] != "/" else [here]
    return parents


def _own_groups(text: str) -> list[tuple[str, str]]:
    """Return controller and path of each control group in the text of `/proc/self/cgroup`.

    The controller is empty for cgroup version 2.
    """
    lines = (line.split(":", 2) for line in text.splitlines() if line.count(":") >= 2)
    return [(controller, path) for _, controllers, path in lines for controller in controllers.split(",")]


def _is_setuid(program: str) -> bool:
    try:
        return bool(Path(program).stat().st_mode & stat.S_ISUID)
    except OSError:
        return False


def _memory_of(proc: Path) -> int:
    try:
        match = re.search(r"^MemTotal:\s+(\d+) kB", (proc / "meminfo").read_text("ascii"), re.MULTILINE)
    except OSError:
        return 0
    return int(match[1]) * 1024 if match else 0
