"""`aegis-tui pane-exec ID`: what a pane runs. Becomes the instance's program, with exactly the environment recorded.

Starts in milliseconds: standard library only. So nothing secret is ever in argv or in tmux's environment.
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
    """The record cannot be trusted or used; the text says why."""


def main(argv: list[str]) -> NoReturn:
    """Replace this process by the program of instance `argv[0]`, or say in the pane why not and exit 5.

    The record is `<AEGIS_STATE_DIR>/instances/<ID>/launch.json`: {argv, env, cwd}.
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
    """The launch record of an instance: argv, environment, folder.

    Raises:
        LaunchRefused: The id is not one, the path leads elsewhere, or the record is not this user's own 0600 file.
    """
    if not _SAFE_ID.match(instance):
        raise LaunchRefused("that is not an instance id")
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
    """The file's bytes, if it is a plain file that nobody but this user can read or write."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o077:
            raise LaunchRefused(f"{path} is not a private file of yours (chmod 600)")
        return file.read(_MAX_RECORD_BYTES)


def _is_texts(values: object) -> bool:
    return isinstance(values, list) and all(isinstance(value, str) for value in values)
