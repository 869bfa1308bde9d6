"""`aegis-tui pane-exec ID`: the command of a pane. It replaces itself by the instance's program.

The program gets exactly the environment of its launch record, so that no secret is in argv or in tmux's environment.
Uses the standard library only, to start in milliseconds.
"""

from __future__ import annotations

import json
import os
import re
import stat
import sys
from pathlib import Path
from typing import NoReturn

EXIT_UNAVAILABLE = 5
_SAFE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}\Z")
_MAX_RECORD_BYTES = 4 * 1024 * 1024


class LaunchRefused(Exception):
    """The launch record cannot be trusted or used; the message gives the reason."""


def main(argv: list[str]) -> NoReturn:
    """Replace this process by the program of instance `argv[0]`; if that fails, print why on stderr and exit with 5.

    The program, its whole environment and its working folder come from the launch record that the hub wrote,
    `<AEGIS_STATE_DIR>/instances/<ID>/launch.json`.
    """
    try:
        if len(argv) != 1:
            raise LaunchRefused("usage: aegis-tui pane-exec ID")
        program, environment, cwd = load_launch(os.environ.get("AEGIS_STATE_DIR", ""), argv[0])
        os.chdir(cwd)
        os.execvpe(program[0], program, environment)
    except (LaunchRefused, OSError, ValueError) as error:
        sys.stderr.write(f"aegis-tui: cannot start {' '.join(argv) or 'an instance'}: {error}\n")
        sys.stderr.flush()
    raise SystemExit(EXIT_UNAVAILABLE)


def load_launch(state_dir: str, instance: str) -> tuple[list[str], dict[str, str], str]:
    """Return argv, environment and working folder from the launch record of an instance, a JSON file.

    Args:
        state_dir: The workspace's state folder, an absolute path; the record is `instances/<ID>/launch.json` in it.
        instance: The id of the instance, in short.

    Raises:
        LaunchRefused: The id is not valid, the path leads out of the state folder, the file is not private to this
            user, or it is not a launch record.
        OSError: The file cannot be opened.
    """
    if not _SAFE_ID.match(instance):
        raise LaunchRefused("it is not the id of an instance")
    if not Path(state_dir).is_absolute():
        raise LaunchRefused("AEGIS_STATE_DIR is not set to a folder")
    path = Path(state_dir) / "instances" / instance / "launch.json"
    if path.resolve() != Path(state_dir).resolve() / "instances" / instance / "launch.json":
        raise LaunchRefused(f"{path} leads out of the state folder")
    try:
        record = json.loads(_read_private(path))
        argv, env, cwd = record["argv"], record["env"], record["cwd"]
    except (KeyError, TypeError, ValueError) as error:
        raise LaunchRefused(f"{path} is not a launch record") from error
    if not (_is_texts(argv) and argv and isinstance(env, dict) and _is_texts([cwd, *env, *env.values()])):
        raise LaunchRefused(f"{path} is not a launch record")
    return argv, env, cwd


def _read_private(path: Path) -> bytes:
    """Return the content of a file, of a longer one the first `_MAX_RECORD_BYTES` (4 MiB).

    Raises:
        LaunchRefused: It is not a regular file of this user that nobody else can access (mode 0600 or less).
        OSError: It cannot be opened, or is a symbolic link.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o077:
            raise LaunchRefused(f"{path} is not a private file of yours (chmod 600)")
        return file.read(_MAX_RECORD_BYTES)


def _is_texts(values: object) -> bool:
    return isinstance(values, list) and all(isinstance(value, str) for value in values)
