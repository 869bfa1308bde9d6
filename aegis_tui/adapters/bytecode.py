"""Compiles the modules of this program for the agents, which see the program read-only in their sandbox.

Some installers compile nothing, and with PYTHONDONTWRITEBYTECODE set no import does. Each agent would then compile all
that it imports, which takes more than half of its start.
"""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import os
import sys
from collections.abc import Iterable
from pathlib import Path

from aegis_tui.adapters.process import end_child

PACKAGE = Path(__file__).parent.parent

_log = logging.getLogger(__name__)


async def compile_package(package: Path = PACKAGE) -> None:
    """Compile the modules without a valid compiled file, in a separate process, and wait until it has ended.

    Does nothing if the folder cannot be written, or all modules are compiled. A module that cannot be compiled is left
    out without an error. When the caller is cancelled, the process is killed.

    Args:
        package: The folder of the package.

    Raises:
        OSError: The process cannot be started.
    """
    if not await asyncio.to_thread(_is_wanted, package):
        return
    _log.info("compiling modules", extra={"aegis_path": str(package)})
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "compileall", "-q", str(package)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        await process.wait()
    finally:
        if process.returncode is None:
            await end_child(process)


def _is_wanted(package: Path) -> bool:
    return os.access(package, os.W_OK) and any(map(_is_stale, _sources(package)))


def _sources(package: Path) -> Iterable[Path]:
    return package.rglob("*.py")


def _is_stale(source: Path) -> bool:
    """Return whether Python would compile the module at `source` on import, because it has no valid compiled file.

    True as well if one of the two files cannot be read. A compiled file that is checked by hash counts as valid.
    Source: PEP 552 (four bytes each of magic number, flags and the source's modification time).
    """
    try:
        with Path(importlib.util.cache_from_source(str(source))).open("rb") as file:
            head = file.read(12)
        written_at = int(source.stat().st_mtime) & 0xFFFFFFFF
    except OSError:
        return True
    is_by_hash = head[4:8] != bytes(4)
    return head[:4] != importlib.util.MAGIC_NUMBER or not (is_by_hash or head[8:] == written_at.to_bytes(4, "little"))
