"""Restricts where this process can write, with Landlock, then becomes the program. Run with `python -I -S`.

A second layer inside the mounts of the sandbox: the kernel refuses writes by path, also if a mount were writable by
mistake. Programs under it cannot change mounts. Standard library only, as it is run as a file.

The arguments are the folders and files that stay writable, of which some may not exist, then `--` and the program.
Exits with 125 if the restriction cannot be set: a program is never started without it. Source: landlock(7).
"""

from __future__ import annotations

import ctypes
import os
import stat
import struct
import sys

EXIT_NO_LANDLOCK = 125
LEAST_ABI = 2
"""Version 1 refuses every rename from one folder into another, which git needs."""

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION_FLAG = 1
_PATH_BENEATH = 1
_SET_NO_NEW_PRIVS = 38
_WRITE_FILE, _REFER, _TRUNCATE = 1 << 1, 1 << 13, 1 << 14
_IN_FOLDERS = sum(1 << bit for bit in range(4, 13))
"""Removing and creating entries of all types: directories, files, sockets, pipes, devices, links."""
_SCOPED = (1 << 0) | (1 << 1)
"""Abstract unix sockets and signals of processes outside (from version 6 on)."""


def main(argv: list[str]) -> None:
    """Restrict this process to the writable paths before `--` in `argv`, then become the program after it.

    Does not return. `typing`, which has a word for that, would take as long to import as all else.

    Raises:
        SystemExit: The restriction cannot be set, or the program cannot be started; the exit code is 125.
    """
    try:
        end = argv.index("--")
        restrict(argv[:end])
        os.execvpe(argv[end + 1], argv[end + 1 :], given_environment())
    except (OSError, ValueError, LookupError) as error:
        sys.stderr.write(f"aegis-tui: Landlock cannot be used: {error}\n")
    raise SystemExit(EXIT_NO_LANDLOCK)


def given_environment() -> dict[str, str]:
    """Return a copy of this process's environment, without LC_CTYPE if only Python added that (PEP 538).

    If `/proc` does not tell, nothing is left out.
    """
    variables = dict(os.environ)
    try:
        with open("/proc/self/environ", "rb") as file:  # noqa: PTH123 - pathlib would double the time to start
            given = file.read().split(b"\0")
    except OSError:
        return variables
    if not any(item.startswith(b"LC_CTYPE=") for item in given):
        variables.pop("LC_CTYPE", None)
    return variables


def find_abi() -> int:
    """Return the version of Landlock that this kernel offers; 0 if it has none or has switched it off."""
    if not sys.platform.startswith("linux"):
        return 0
    try:
        return max(0, _call(_CREATE_RULESET, None, 0, _VERSION_FLAG))
    except OSError:
        return 0


def restrict(writable: list[str]) -> None:
    """Let this process and those that it starts write only below these paths. It cannot be undone.

    Reading is not restricted. From version 6 of Landlock on, they can also neither signal other processes nor connect
    to abstract unix sockets of theirs. They can gain no rights by setuid programs.

    Args:
        writable: Folders and files; those that do not exist are ignored.

    Raises:
        OSError: The kernel has no Landlock of version 2 or later, or refuses a rule, or a path cannot be opened.
    """
    abi = find_abi()
    if abi < LEAST_ABI:
        raise OSError(f"the kernel offers version {abi}, not {LEAST_ABI}")
    of_file = _WRITE_FILE | (_TRUNCATE if abi >= 3 else 0)
    handled = of_file | _IN_FOLDERS | _REFER
    attributes = [handled] if abi < 4 else [handled, 0] if abi < 6 else [handled, 0, _SCOPED]
    packed = struct.pack(f"={len(attributes)}Q", *attributes)
    ruleset = _call(_CREATE_RULESET, packed, len(packed), 0)
    try:
        for path in writable:
            _allow(ruleset, path, of_file=of_file, handled=handled)
        if ctypes.CDLL(None, use_errno=True).prctl(_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "no_new_privs cannot be set")
        _call(_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: str, *, of_file: int, handled: int) -> None:
    try:
        handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        is_folder = stat.S_ISDIR(os.fstat(handle).st_mode)
        rule = struct.pack("=Qi", handled if is_folder else of_file, handle)
        _call(_ADD_RULE, ruleset, _PATH_BENEATH, rule, 0)
    finally:
        os.close(handle)


def _call(number: int, *arguments: int | bytes | None) -> int:
    library = ctypes.CDLL(None, use_errno=True)
    result = int(library.syscall(number, *arguments))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


if __name__ == "__main__":
    main(sys.argv[1:])
