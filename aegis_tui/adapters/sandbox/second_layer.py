"""Landlock as the second layer of a sandbox: how a program is started under it, and whether it works here (SEC-1)."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from aegis_tui.adapters.sandbox.landlock import LEAST_ABI
from aegis_tui.adapters.sandbox.probe import run_probe

_SCRIPT = str(Path(__file__).with_name("landlock.py"))
_ATTEMPT = """
import sys
for path in sys.argv[1:]:
    try:
        with open(path, "w") as file:
            file.write("x")
        print("written")
    except OSError:
        print("refused")
"""


@dataclass(frozen=True)
class SecondLayer:
    """Whether Landlock refuses writes here."""

    works: bool
    words: str
    """For the report: what it does, or why it is not used."""


def landlock_argv(writable: Iterable[Path]) -> list[str]:
    """Return the argv to put before a program that may write only below these paths; it starts `landlock.py`.

    Args:
        writable: Folders and files, as they are named inside the sandbox; those that do not exist are ignored.
    """
    return [sys.executable, "-I", "-S", _SCRIPT, *map(str, writable), "--"]


async def try_landlock(abi: int) -> SecondLayer:
    """Run a program under Landlock alone that writes where it may and where it must not; return whether Landlock works.

    It works if the first write succeeded and the second was refused; else the words of the result say why not.

    Args:
        abi: The version of Landlock that the kernel offers; 0 for none.

    Raises:
        OSError: A temporary folder cannot be created.
    """
    if abi == 0:
        return SecondLayer(False, "none: this kernel has no Landlock, or it is switched off")
    if abi < LEAST_ABI:
        return SecondLayer(False, "none: Landlock needs Linux 5.19 or later")
    folder = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix=f"aegis-landlock-{os.getpid()}-"))
    try:
        for name in ("inside", "outside"):
            (folder / name).mkdir()
        places = [str(folder / "inside" / "file"), str(folder / "outside" / "file")]
        script = [sys.executable, "-I", "-S", "-c", _ATTEMPT, *places]
        code, said, errors = await run_probe([*landlock_argv([folder / "inside"]), *script])
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
    if code == 0 and said.split() == ["written", "refused"]:
        return SecondLayer(True, f"also refuses writes (version {abi})")
    last = (errors or said).strip().rpartition("\n")[2] or f"exit code {code}"
    return SecondLayer(False, f"none: it does not refuse a write ({last})")
