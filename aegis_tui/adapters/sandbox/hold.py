"""Sets limits on its own process, then becomes the program. Run as a file, with `python -I -S`: standard library only.

The first argument is JSON: `rlimits`, name -> value, used as both limits of setrlimit(2); `groups`, a list of {parent,
files}: a control group is created below `parent`, the files are written in it, and this process enters it. Exits with
125 if a limit cannot be set: a program is never started without its limits.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import sys
from pathlib import Path
from typing import Any, NoReturn

PREFIX = "aegis-"
EXIT_NO_LIMIT = 125


def main(argv: list[str]) -> NoReturn:
    """Set the limits in `argv[0]`, which is JSON, then become the program `argv[1:]`.

    Raises:
        SystemExit: A limit cannot be set, or the program cannot be started; the exit code is 125.
    """
    try:
        plan = json.loads(argv[0])
        for group in plan["groups"]:
            enter(group)
        for name, value in plan["rlimits"].items():
            set_limit(getattr(resource, name), value)
        os.execvp(argv[1], argv[1:])
    except (OSError, ValueError, LookupError) as error:
        sys.stderr.write(f"aegis-tui: a limit cannot be set: {error}\n")
    raise SystemExit(EXIT_NO_LIMIT)


def set_limit(number: int, value: int) -> None:
    """Lower both limits of a resource of this process; a limit that is lower already stays.

    Args:
        number: One of the constants `resource.RLIMIT_...`.
        value: The limit.

    Raises:
        OSError: It cannot be set.
    """
    hard = resource.getrlimit(number)[1]
    lowest = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(number, (lowest, lowest))


def enter(group: dict[str, Any]) -> None:
    """Create a control group for this process, enter it, and remove groups whose process has ended.

    Args:
        group: `parent`, the folder to create it in, and `files`: name -> text of the files of its limits.

    Raises:
        OSError: It cannot be created, limited or entered.
    """
    parent = Path(group["parent"])
    sweep(parent)
    place = parent / f"{PREFIX}{os.getpid()}"
    place.mkdir(exist_ok=True)
    for name, value in (*group["files"].items(), ("cgroup.procs", "0")):
        (place / name).write_text(value, encoding="ascii")


def sweep(parent: Path) -> None:
    """Remove the empty control groups below `parent` that `enter` created for processes that have ended."""
    for place in parent.glob(f"{PREFIX}*"):
        owner = place.name.removeprefix(PREFIX)
        if owner.isdigit() and not Path("/proc", owner).exists():
            with contextlib.suppress(OSError):
                place.rmdir()


if __name__ == "__main__":
    main(sys.argv[1:])
