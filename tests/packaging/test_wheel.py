from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from aegis_tui import __version__


def pip(*arguments: str) -> None:
    argv = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", *arguments]
    environment = {**os.environ, "PIP_ROOT_USER_ACTION": "ignore", "PIP_NO_INDEX": "1"}
    done = subprocess.run(argv, capture_output=True, text=True, timeout=160, check=False, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def wheel(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    pip("wheel", "-q", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(root))
    (built,) = folder.glob("aegis_tui-*.whl")
    return built


def test_the_wheel_holds_every_file_that_is_not_python(root: Path, wheel: Path) -> None:
    held = set(zipfile.ZipFile(wheel).namelist())
    data = {path for path in (root / "aegis_tui").rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    wanted = {path.relative_to(root).as_posix() for path in data}
    wanted |= {
        f"aegis_tui/_data/{path.relative_to(root).as_posix()}"
        for folder in ("layouts", "themes")
        for path in (root / folder).rglob("*")
        if path.is_file()
    }
    assert wanted <= held, sorted(wanted - held)
    assert {
        "aegis_tui/py.typed",
        "aegis_tui/adapters/git/guard.sh",
        "aegis_tui/agent/roles/worker.md",
        "aegis_tui/testing/sample/repo/.gitignore",
        "aegis_tui/_data/layouts/README.md",
        "aegis_tui/_data/themes/README.md",
    } <= held
    assert not [name for name in held if name.startswith(("tests/", "scripts/", "docs/"))]


def test_the_installed_wheel_runs(wheel: Path, tmp_path: Path) -> None:
    target = tmp_path / "site"
    pip("install", "-q", "--no-deps", "--target", str(target), str(wheel))
    program = "import aegis_tui, sys; sys.stdout.write(aegis_tui.__file__)"
    for argv, said in (
        (["-c", program], str(target)),
        (["-m", "aegis_tui", "--version"], f"aegis-tui {__version__}\n"),
        (["-m", "aegis_tui", "--help"], "Turn a goal into one commit"),
    ):
        done = subprocess.run(
            [sys.executable, *argv],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(target), "PYTHONDONTWRITEBYTECODE": "1"},
        )
        assert done.returncode == 0, done.stderr
        assert said in done.stdout
