from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Write = Callable[..., Path]
DUMP = "import json, os, sys; print(json.dumps([sys.argv[1:], dict(os.environ), os.getcwd(), os.getpid()]))"
CODE = "import sys; from aegis_tui.cli.pane_exec import main; main(sys.argv[1:])"


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def write(state: Path, tmp_path: Path) -> Write:
    """Write the launch record of w01, private unless told otherwise."""

    def write(record: Any = None, *, mode: int = 0o600) -> Path:
        folder = state / "instances" / "w01"
        folder.mkdir(parents=True, mode=0o700)
        path = folder / "launch.json"
        argv = [sys.executable, "-c", DUMP, "it's; $HOME", ""]
        full = {"argv": argv, "env": {"ONLY": "this 한글", "PATH": os.defpath}, "cwd": str(tmp_path)}
        path.write_text(json.dumps(full if record is None else record))
        path.chmod(mode)
        return path

    return write


def pane_exec(state: Path | str, *args: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "AEGIS_STATE_DIR": str(state), "SECRET": "x"}
    return subprocess.run(
        [sys.executable, "-c", CODE, *args], env=environment, capture_output=True, text=True, timeout=20
    )


def test_the_program_takes_over_with_exactly_its_arguments_environment_and_folder(
    state: Path, write: Write, tmp_path: Path
) -> None:
    write()
    process = subprocess.Popen(
        [sys.executable, "-c", CODE, "w01"],
        env={**os.environ, "AEGIS_STATE_DIR": str(state), "SECRET": "x"},
        stdout=subprocess.PIPE,
    )
    output, _ = process.communicate(timeout=20)
    args, environ, cwd, pid = json.loads(output)
    environ.pop("LC_CTYPE", None)  # set by Python itself in the C locale (PEP 538)
    assert args == ["it's; $HOME", ""]
    assert environ == {"ONLY": "this 한글", "PATH": os.defpath}
    assert cwd == str(tmp_path)
    assert pid == process.pid


@pytest.mark.parametrize("mode", [0o644, 0o660, 0o604])
def test_a_record_that_others_can_read_or_write_is_refused(state: Path, write: Write, mode: int) -> None:
    write(mode=mode)
    done = pane_exec(state, "w01")
    assert done.returncode == 5
    assert "not a private file" in done.stderr


@pytest.mark.parametrize("name", ["../w01", "", "w01/x", "-x", "a b"])
def test_a_name_that_is_no_instance_is_refused(state: Path, write: Write, name: str) -> None:
    write()
    done = pane_exec(state, name)
    assert (done.returncode, "not the id of an instance" in done.stderr) == (5, True)


def test_a_record_behind_a_link_is_refused(state: Path, write: Write, tmp_path: Path) -> None:
    path = write()
    path.rename(tmp_path / "elsewhere.json")
    path.symlink_to(tmp_path / "elsewhere.json")
    assert pane_exec(state, "w01").returncode == 5
    (state / "instances" / "w02").symlink_to(tmp_path)
    (tmp_path / "elsewhere.json").rename(tmp_path / "launch.json")
    done = pane_exec(state, "w02")
    assert (done.returncode, "leads out" in done.stderr) == (5, True)


@pytest.mark.skipif(os.geteuid() != 0, reason="missing: root, who alone can give a file away")
def test_a_record_of_another_user_is_refused(state: Path, write: Write) -> None:
    os.chown(write(), 65534, 65534)
    assert pane_exec(state, "w01").returncode == 5


@pytest.mark.parametrize(
    "record",
    [
        [],
        {"argv": [], "env": {}, "cwd": "/"},
        {"argv": "sh -c x", "env": {}, "cwd": "/"},
        {"argv": ["true"], "env": {"A": 1}, "cwd": "/"},
        {"argv": ["true"], "env": {}},
        {"argv": ["true\x00"], "env": {}, "cwd": "/"},
    ],
)
def test_a_record_that_is_none_is_said_readably(state: Path, write: Write, record: Any) -> None:
    write(record)
    done = pane_exec(state, "w01")
    assert (done.returncode, done.stdout) == (5, "")
    assert done.stderr.startswith("aegis-tui: cannot start w01: ")
    assert "Traceback" not in done.stderr


def test_a_program_that_is_missing_is_said_readably(state: Path, write: Write) -> None:
    write({"argv": ["/no/such/program"], "env": {}, "cwd": "/"})
    done = pane_exec(state, "w01")
    assert (done.returncode, "No such file" in done.stderr) == (5, True)


def test_without_a_record_a_folder_or_an_id_it_ends_with_five(state: Path) -> None:
    assert [pane_exec(state, "w01").returncode, pane_exec("", "w01").returncode, pane_exec(state).returncode] == [
        5,
        5,
        5,
    ]


def test_it_imports_nothing_but_the_standard_library() -> None:
    code = "import sys, aegis_tui.cli.pane_exec; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, timeout=20, check=True)
    assert set(loaded.stdout.split()) - set(sys.stdlib_module_names) <= {"aegis_tui", "__main__"}
