"""The command of a pane: it replaces itself by the instance's program (`aegis-tui pane-exec ID` does the same).

The program gets exactly the environment of its launch record, so that no secret is in argv or in tmux's environment.
Run as a file, with `python -I -S`: standard library only. Every instance is started through it, so it imports next to
nothing: `json` and `pathlib` alone would take longer than all that it does.
"""

from __future__ import annotations

import os
import stat
import sys

EXIT_UNAVAILABLE = 5
RECORD_NAME = "launch"
"""The name of the launch record in the folder of an instance."""

_FORM, _END = "aegis launch record 1", "end"
_MAX_RECORD_BYTES = 4 * 1024 * 1024
_MAX_ID_CHARS = 64
_IN_IDS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-")


class LaunchRefused(Exception):
    """The launch record cannot be trusted or used; the message gives the reason."""


def main(argv: list[str]) -> None:
    """Replace this process by the program of instance `argv[0]`; if that fails, print why on stderr and exit with 5.

    Does not return. The program, its whole environment and its working folder come from the launch record that the hub
    wrote, `<AEGIS_STATE_DIR>/instances/<ID>/launch`.
    """
    try:
        if len(argv) != 1:
            raise LaunchRefused("usage: aegis-tui pane-exec ID")
        program, environment, cwd = load_launch(os.environ.get("AEGIS_STATE_DIR", ""), argv[0])
        os.chdir(cwd)
        become(program, environment)
    except (LaunchRefused, OSError, ValueError) as error:
        sys.stderr.write(f"aegis-tui: cannot start {' '.join(argv) or 'an instance'}: {error}\n")
        sys.stderr.flush()
    raise SystemExit(EXIT_UNAVAILABLE)


def become(program: list[str], environment: dict[str, str]) -> None:
    """Replace this process by a program; a script that is started like this one, `python -I -S`, runs here instead.

    Such a script prepares its process and becomes the next program: that which limits a sandbox does. Another start of
    Python would take longer than all that it does. Returns only if a script ends.

    Raises:
        OSError: The program cannot be started, or the script not be read.
        ValueError: A variable cannot be set.
    """
    start = [sys.executable, "-I", "-S"]
    script = next(iter(program[len(start) :]), "-")
    if program[: len(start)] != start or script.startswith("-"):
        os.execvpe(program[0], program, environment)
    with open(script, "rb") as file:  # noqa: PTH123 - pathlib is not imported here
        code = compile(file.read(), script, "exec", dont_inherit=True)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = program[len(start) :]
    exec(code, {"__name__": "__main__", "__file__": script})


def render_launch(argv: list[str], environment: dict[str, str], cwd: str) -> bytes:
    """Return a launch record: texts that each end in a NUL. Paths in it need not be UTF-8.

    They are the name of the format, `cwd`, the length of `argv`, its texts, `name=value` for each variable, and `end`.

    Raises:
        ValueError: A text contains a NUL, the name of a variable contains `=`, or `argv` is empty.
    """
    if not argv or any("=" in name for name in environment):
        raise ValueError("a program cannot be started without a name, or with = in the name of a variable")
    texts = [_FORM, cwd, str(len(argv)), *argv, *(f"{name}={value}" for name, value in environment.items()), _END]
    if any("\0" in text for text in texts):
        raise ValueError("no argument or variable of a program may contain a NUL")
    return b"".join(os.fsencode(text) + b"\0" for text in texts)


def load_launch(state_dir: str, instance: str) -> tuple[list[str], dict[str, str], str]:
    """Return argv, environment and working folder from the launch record of an instance.

    Args:
        state_dir: The workspace's state folder, an absolute path; the record is `instances/<ID>/launch` in it.
        instance: The id of the instance, in short.

    Raises:
        LaunchRefused: The id is not valid, the path leads out of the state folder, the file is not private to this
            user, or it is not a launch record.
        OSError: The file cannot be opened.
    """
    if not (0 < len(instance) <= _MAX_ID_CHARS and _IN_IDS.issuperset(instance) and instance[0].isalnum()):
        raise LaunchRefused("it is not the id of an instance")
    if not state_dir.startswith("/"):
        raise LaunchRefused("AEGIS_STATE_DIR is not set to a folder")
    inside = f"instances/{instance}/{RECORD_NAME}"
    path = f"{state_dir}/{inside}"
    if os.path.realpath(path) != f"{os.path.realpath(state_dir)}/{inside}":
        raise LaunchRefused(f"{path} leads out of the state folder")
    texts = [os.fsdecode(text) for text in _read_private(path).split(b"\0")]
    count = texts[2] if len(texts) > 2 else ""
    if texts[0] != _FORM or texts[-2:] != [_END, ""] or not (count.isascii() and count.isdigit()):
        raise LaunchRefused(f"{path} is not a launch record")
    rest = texts[3:-2]
    argv, variables = rest[: int(count)], rest[int(count) :]
    if len(argv) != int(count) or not argv or not all("=" in variable for variable in variables):
        raise LaunchRefused(f"{path} is not a launch record")
    return argv, dict(variable.split("=", 1) for variable in variables), texts[1]


def _read_private(path: str) -> bytes:
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


if __name__ == "__main__":
    main(sys.argv[1:])
