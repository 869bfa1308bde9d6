"""Finds which version of an agent's program is installed, by asking it (AGENT-1)."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from aegis_tui.errors import AegisError
from aegis_tui.ports.program import ProgramRunner

_DEADLINE_S = 30.0
"""The first start of a program of a hundred megabytes takes over ten seconds on a busy machine."""
_NUMBER = re.compile(r"\d+(?:\.\d+)+")
_NAMED = re.compile(r"\bversion:? v?(\d+(?:\.\d+)+)")
"""How a version is shown by a program that has no such option, and by no error of an interpreter."""


async def find_version(programs: ProgramRunner, program: str, environ: Mapping[str, str]) -> str | None:
    """Return the version that a program says it has; None if it cannot be started or says none within 30 s.

    It is called with `--version`, and finds first on PATH what is installed beside it, as an instance of its kind does:
    the Node.js of the machine may be too old for it. A program that does not know the option and ends with an error may
    name its version all the same.

    Args:
        programs: Runs the program.
        program: Its path.
        environ: All variables that it gets, apart from PATH.
    """
    path = f"{Path(program).parent}:{environ.get('PATH', os.defpath)}"
    try:
        done = await programs.run(
            [program, "--version"], cwd=Path("/"), environment={**environ, "PATH": path}, timeout_s=_DEADLINE_S
        )
    except (AegisError, OSError):  # OSError: there is such a program, but it cannot be started
        return None
    if done.exit_code == 0 and (number := _NUMBER.search(done.output)):
        return number[0]
    named = _NAMED.search(done.output)
    return named[1] if named else None
