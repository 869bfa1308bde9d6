from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from aegis_tui.orchestrator import pane_exec
from aegis_tui.orchestrator.pane_exec import render_launch

Write = Callable[..., Path]
DUMP = "import json, os, sys; print(json.dumps([sys.argv[1:], dict(os.environ), os.getcwd(), os.getpid()]))"
PANE = (sys.executable, "-I", "-S", pane_exec.__file__)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def write(state: Path, tmp_path: Path) -> Write:
    """Write the launch record of w01, private unless told otherwise."""

    def write(record: bytes | None = None, *, mode: int = 0o600) -> Path:
        folder = state / "instances" / "w01"
        folder.mkdir(parents=True, mode=0o700)
        path = folder / "launch"
        argv = [sys.executable, "-c", DUMP, "it's; $HOME", "", "end", "A=\n"]
        full = render_launch(argv, {"ONLY": "this 한글=\udcff", "PATH": os.defpath}, str(tmp_path))
        path.write_bytes(full if record is None else record)
        path.chmod(mode)
        return path

    return write


def run_pane(state: Path | str, *args: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "AEGIS_STATE_DIR": str(state), "SECRET": "x"}
    return subprocess.run([*PANE, *args], env=environment, capture_output=True, text=True, timeout=20)


def test_a_script_for_the_same_python_runs_without_another_start_of_it(
    state: Path, write: Write, tmp_path: Path
) -> None:
    script, after = tmp_path / "limit.py", [sys.executable, "-c", DUMP, "last"]
    script.write_text(
        "from __future__ import annotations\nimport os, sys\n"
        "print(__name__, sys.modules['__main__'].__file__, flush=True)\n"
        "os.execvp(sys.argv[2], sys.argv[2:])\n"
    )
    write(render_launch([sys.executable, "-I", "-S", str(script), "--", *after], {"ONLY": "this"}, str(tmp_path)))
    first, second = run_pane(state, "w01").stdout.splitlines()
    args, environ, cwd, _ = json.loads(second)
    environ.pop("LC_CTYPE", None)
    assert first == f"__main__ {pane_exec.__file__}"
    assert (args, environ, cwd) == (["last"], {"ONLY": "this"}, str(tmp_path))


@pytest.mark.parametrize("tail", [["-c", "print('ran')"], ["no/such/script.py"], []])
def test_python_that_gets_no_script_is_started_as_any_program(state: Path, write: Write, tail: list[str]) -> None:
    write(render_launch([sys.executable, "-I", "-S", *tail], {"ONLY": "this"}, str(state)))
    done = run_pane(state, "w01")
    if "-c" in tail:
        assert done.stdout == "ran\n"
    else:
        assert bool(done.returncode) == bool(tail)


def test_the_program_takes_over_with_exactly_its_arguments_environment_and_folder(
    state: Path, write: Write, tmp_path: Path
) -> None:
    write()
    process = subprocess.Popen(
        [*PANE, "w01"],
        env={**os.environ, "AEGIS_STATE_DIR": str(state), "SECRET": "x"},
        stdout=subprocess.PIPE,
    )
    output, _ = process.communicate(timeout=20)
    args, environ, cwd, pid = json.loads(output)
    environ.pop("LC_CTYPE", None)  # set by Python itself in the C locale (PEP 538)
    assert args == ["it's; $HOME", "", "end", "A=\n"]
    assert environ == {"ONLY": "this 한글=\udcff", "PATH": os.defpath}
    assert cwd == str(tmp_path)
    assert pid == process.pid


@pytest.mark.parametrize("mode", [0o644, 0o660, 0o604])
def test_a_record_that_others_can_read_or_write_is_refused(state: Path, write: Write, mode: int) -> None:
    write(mode=mode)
    done = run_pane(state, "w01")
    assert done.returncode == 5
    assert "not a private file" in done.stderr


@pytest.mark.parametrize("name", ["../w01", "", "w01/x", "-x", "a b"])
def test_a_name_that_is_no_instance_is_refused(state: Path, write: Write, name: str) -> None:
    write()
    done = run_pane(state, name)
    assert (done.returncode, "not the id of an instance" in done.stderr) == (5, True)


def test_a_record_behind_a_link_is_refused(state: Path, write: Write, tmp_path: Path) -> None:
    path = write()
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    assert run_pane(state, "w01").returncode == 5
    (state / "instances" / "w02").symlink_to(tmp_path)
    (tmp_path / "elsewhere").rename(tmp_path / "launch")
    done = run_pane(state, "w02")
    assert (done.returncode, "leads out" in done.stderr) == (5, True)


@pytest.mark.skipif(os.geteuid() != 0, reason="missing: root, who alone can give a file away")
def test_a_record_of_another_user_is_refused(state: Path, write: Write) -> None:
    os.chown(write(), 65534, 65534)
    assert run_pane(state, "w01").returncode == 5


@pytest.mark.parametrize(
    "record",
    [
        b"",
        b'{"argv": ["true"], "env": {}, "cwd": "/"}',
        b"aegis launch record 1\0",
        b"aegis launch record 1\0/\x001\0true\0",
        b"aegis launch record 1\0/\x001\0true\0end",
        b"aegis launch record 1\0/\x000\0end\0",
        b"aegis launch record 1\0/\x00-1\0true\0end\0",
        b"aegis launch record 1\0/\x001\0true\0PATH\0end\0",
        b"aegis launch record 1\0/\x003\0true\0A=b\0end\0",
        b"aegis launch record 2\0/\x001\0true\0end\0",
    ],
)
def test_a_record_that_is_none_is_said_readably(state: Path, write: Write, record: bytes) -> None:
    write(record)
    done = run_pane(state, "w01")
    assert (done.returncode, done.stdout) == (5, "")
    assert done.stderr.startswith("aegis-tui: cannot start w01: ")
    assert "Traceback" not in done.stderr


def test_a_program_that_is_missing_is_said_readably(state: Path, write: Write) -> None:
    write(render_launch(["/no/such/program"], {}, "/"))
    done = run_pane(state, "w01")
    assert (done.returncode, "No such file" in done.stderr) == (5, True)


def test_without_a_record_a_folder_or_an_id_it_ends_with_five(state: Path) -> None:
    assert [run_pane(state, "w01").returncode, run_pane("", "w01").returncode, run_pane(state).returncode] == [
        5,
        5,
        5,
    ]


def test_it_imports_next_to_nothing() -> None:
    code = (
        "import sys; known = set(sys.modules); text = open(sys.argv[1]).read()\n"
        "exec(compile(text, sys.argv[1], 'exec'), {'__name__': 'pane'}); print(*set(sys.modules) - known)"
    )
    argv = [sys.executable, "-I", "-S", "-c", code, pane_exec.__file__]
    loaded = subprocess.run(argv, capture_output=True, text=True, timeout=20, check=True)
    modules = set(loaded.stdout.split())
    assert modules <= set(sys.stdlib_module_names) | {"os.path"}
    assert modules.isdisjoint({"enum", "json", "pathlib", "re", "typing"})


@pytest.mark.parametrize(
    ("argv", "environment"),
    [([], {}), (["a\0b"], {}), (["a"], {"A": "b\0"}), (["a"], {"A=": "b"}), (["a"], {"A\0": "b"})],
)
def test_what_no_program_can_be_given_is_refused(argv: list[str], environment: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"NUL|without a name"):
        render_launch(argv, environment, "/")


def test_the_command_of_the_command_line_does_the_same(state: Path, write: Write) -> None:
    write()
    environment = {**os.environ, "AEGIS_STATE_DIR": str(state)}
    argv = [sys.executable, "-P", "-m", "aegis_tui", "pane-exec", "w01"]
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=20, check=True)
    assert json.loads(done.stdout)[1]["ONLY"] == "this 한글=\udcff"
