"""What a process may not import before it needs it: dozens of each are started in one run (PERF-18)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

_UNUSED = ("click", "detect_secrets", "git", "mcp", "pygments", "ruamel.yaml", "textual", "tree_sitter", "typer")


@pytest.mark.parametrize(
    ("module", "unused"),
    [
        (
            "aegis_tui.agent.__main__",
            (
                *(*_UNUSED, "rich", "httpx", "starlette", "uvicorn", "websockets", "email", "importlib.metadata"),
                *("aegis_tui.domain.run.events", "aegis_tui.ports.terminal", "aegis_tui.domain.wire.code_map"),
            ),
        ),
        ("aegis_tui.gateway.run", (*(name for name in _UNUSED if name != "click"), "rich", "httpx", "pydantic")),
        (
            "aegis_tui.cli.foreground, aegis_tui.bootstrap.hub",
            (
                *(name for name in _UNUSED if name != "click"),
                *("rich", "httpx", "libtmux", "junitparser", "watchdog", "aegis_tui.bootstrap.wiring"),
            ),
        ),
        ("aegis_tui.bootstrap.checkout, aegis_tui.bootstrap.log", ("libtmux", "rich", "httpx", "textual")),
    ],
)
def test_a_process_starts_without_what_it_does_not_need(module: str, unused: tuple[str, ...]) -> None:
    code = f"import sys, {module}\nprint([name for name in {unused!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


def test_an_agent_does_not_look_for_plugins_of_pydantic() -> None:
    code = (
        "import importlib.metadata as metadata\nmetadata.entry_points = lambda **_: print('searched') or ()\n"
        "from aegis_tui.bootstrap import agent\nfrom aegis_tui.agent.settings import InstanceScope\n"
        "agent.run_agent = lambda *_: print(InstanceScope().partition)\nagent.main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["()"]


@pytest.mark.parametrize("line", ["hub start", "server start --json"])
def test_who_starts_a_hub_has_it_begin_before_anything_else_is_imported(line: str, tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True, timeout=60)
    code = (
        "import sys\nfrom aegis_tui.cli import main, place\nfrom aegis_tui.errors import HubUnavailable\n"
        "def begun(*_, **__):\n"
        "    print([name for name in ('typer', 'pydantic', 'asyncio', 'http.client') if name in sys.modules])\n"
        "    raise HubUnavailable('not now')\n"
        f"place.ensure_hub = begun\nmain.run({line.split()!r})\n"
    )
    environ = {**os.environ, "XDG_STATE_HOME": str(tmp_path / "state"), "XDG_RUNTIME_DIR": str(tmp_path / "run")}
    argv = [sys.executable, "-c", code]
    done = subprocess.run(argv, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines()[0] == "[]"


@pytest.mark.parametrize("line", ["hub status", "status", "lock list", "conflicts", "send w01 x"])
def test_a_short_command_runs_without_what_it_does_not_need(line: str, tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True, timeout=60)
    code = (
        f"import sys\nfrom aegis_tui.cli.main import run\nrun({line.split()!r})\n"
        "print([name for name in ('pydantic', 'asyncio', 'aegis_tui.domain.event') if name in sys.modules])"
    )
    environ = {**os.environ, "XDG_STATE_HOME": str(tmp_path / "state"), "XDG_RUNTIME_DIR": str(tmp_path / "run")}
    argv = [sys.executable, "-c", code]
    done = subprocess.run(argv, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
