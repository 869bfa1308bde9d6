"""Sets limits on its own process, then becomes the program. Run as a file, with `python -I -S`: standard library only.

Every program in a sandbox is started through it, so it imports next to nothing: `json` and `pathlib` alone would take
longer than all that it does. Its arguments are `--rlimit NAME VALUE`, for both limits of setrlimit(2); `--group PARENT
FILE VALUE`: a control group is created below the folder PARENT, VALUE is written to FILE in it, and this process enters
it; then `--` and the program. Exits with 125 if a limit cannot be set: a program is never started without its limits.
"""

from __future__ import annotations

import os
import resource
import sys

PREFIX = "aegis-"
EXIT_NO_LIMIT = 125


def main(argv: list[str]) -> None:
    """Set the limits that `argv` begins with, then become the program after `--`; does not return.

    Raises:
        SystemExit: A limit cannot be set, or the program cannot be started; the exit code is 125.
    """
    try:
        place = 0
        while argv[place] != "--":
            if argv[place] == "--rlimit":
                set_limit(getattr(resource, argv[place + 1]), int(argv[place + 2]))
                place += 3
            elif argv[place] == "--group":
                enter(*argv[place + 1 : place + 4])
                place += 4
            else:
                raise ValueError(f"unknown argument {argv[place]}")
        os.execvp(argv[place + 1], argv[place + 1 :])
    except (OSError, ValueError, LookupError, AttributeError, TypeError) as error:
        sys.stderr.write(f"aegis-tui: a limit cannot be set: {error}\n")
    raise SystemExit(EXIT_NO_LIMIT)


def set_limit(number: int, value: int) -> None:
    """Set the soft and the hard limit of a resource of this process to a value; it can only lower the hard one.

    If the hard limit is lower than the value, both are set to the hard limit.

    Args:
        number: One of the constants `resource.RLIMIT_...`.
        value: The limit, in the unit of that constant.

    Raises:
        OSError: It cannot be set.
        ValueError: The resource or the value is not valid.
    """
    hard = resource.getrlimit(number)[1]
    lowest = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(number, (lowest, lowest))


def enter(parent: str, file: str, value: str) -> None:
    """Create a control group for this process, set its limit, and enter it; first remove those of ended processes.

    A group that this process has created there before is used again.

    Args:
        parent: The folder to create it in.
        file: The name of the file of its limit, such as `pids.max`.
        value: The limit, as text for that file.

    Raises:
        OSError: It cannot be created, limited or entered.
    """
    sweep(parent)
    place = f"{parent}/{PREFIX}{os.getpid()}"
    if not os.path.isdir(place):  # noqa: PTH112 - pathlib is not imported here
        os.mkdir(place)  # noqa: PTH102
    for name, text in ((file, value), ("cgroup.procs", "0")):
        with open(f"{place}/{name}", "w", encoding="ascii") as limit:  # noqa: PTH123
            limit.write(text)


def sweep(parent: str) -> None:
    """Remove the control groups below `parent` that this module created for processes that have ended.

    One that cannot be removed, because it is not empty, is left.

    Raises:
        OSError: `parent` is no folder, or cannot be read.
    """
    for name in os.listdir(parent):  # noqa: PTH208
        owner = name[len(PREFIX) :] if name.startswith(PREFIX) else ""
        if owner.isdigit() and not os.path.exists(f"/proc/{owner}"):  # noqa: PTH110
            try:  # noqa: SIM105 - contextlib is not imported here
                os.rmdir(f"{parent}/{name}")  # noqa: PTH106
            except OSError:
                pass


if __name__ == "__main__":
    main(sys.argv[1:])
