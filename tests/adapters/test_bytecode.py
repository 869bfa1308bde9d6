from __future__ import annotations

import asyncio
import importlib.util
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from aegis_tui.adapters import bytecode
from aegis_tui.adapters.bytecode import compile_package


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    (tmp_path / "inner").mkdir()
    (tmp_path / "a.py").write_text("A = 1\n")
    (tmp_path / "inner" / "b.py").write_text("B = 1\n")
    return tmp_path


def _compiled(source: Path) -> bytes:
    return Path(importlib.util.cache_from_source(str(source))).read_bytes()


def _wait_for_text(file: Path) -> None:
    while not file.exists() or not file.read_text().strip():
        time.sleep(0.01)


def test_every_module_is_compiled_whatever_the_shell_says(package: Path) -> None:
    asyncio.run(compile_package(package))
    assert b"A" in _compiled(package / "a.py")
    assert b"B" in _compiled(package / "inner" / "b.py")


def test_a_changed_module_is_compiled_again_and_nothing_is_started_for_others(
    package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asyncio.run(compile_package(package))
    (package / "a.py").write_text("CHANGED = 1\n")
    os.utime(package / "a.py", (1, 1))
    asyncio.run(compile_package(package))
    assert b"CHANGED" in _compiled(package / "a.py")
    monkeypatch.setattr(sys, "executable", "/nowhere")
    asyncio.run(compile_package(package))


def test_what_python_takes_as_compiled_is_taken_so_here(package: Path) -> None:
    for mode in ("timestamp", "checked-hash", "unchecked-hash"):
        argv = [sys.executable, "-m", "compileall", "-q", "-f", "--invalidation-mode", mode, str(package)]
        subprocess.run(argv, check=True, timeout=60)
        assert not bytecode._is_stale(package / "a.py")
    Path(importlib.util.cache_from_source(str(package / "a.py"))).write_bytes(b"old" + bytes(20))
    assert bytecode._is_stale(package / "a.py")


def test_a_compilation_that_is_broken_off_leaves_no_process(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sleeper = package / "sleeper"
    sleeper.write_text(f"#!/bin/sh\necho $$ > {package}/pid\nexec sleep 60\n")
    sleeper.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(sleeper))

    async def scene() -> int:
        task = asyncio.create_task(compile_package(package))
        await asyncio.to_thread(_wait_for_text, package / "pid")
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return int((package / "pid").read_text())

    with pytest.raises(ProcessLookupError):
        os.kill(asyncio.run(scene()), 0)
