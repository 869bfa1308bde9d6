from __future__ import annotations

import asyncio
import inspect
import os
import secrets
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from aegis_tui.adapters.tmux.terminal import TmuxTerminal

Eventually = Callable[..., Awaitable[Any]]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def environment() -> dict[str, str]:
    """What a person's shell may hold: a secret, another locale, a tmux of their own."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMUX_TMPDIR") if name in os.environ}
    return {**kept, "LANG": "C", "AEGIS_SECRET_TOKEN": "hunter2", "SSH_AUTH_SOCK": "/tmp/agent", "TMUX": "/tmp/x,1,0"}


@pytest.fixture
def socket_name() -> Iterator[str]:
    """A server name of this test alone; whatever is left of it at the end is ended, and fails the test."""
    if shutil.which("tmux") is None:
        pytest.skip("missing: tmux")
    name = f"aegis-test-{secrets.token_hex(6)}"
    yield name
    socket = Path(os.environ.get("TMUX_TMPDIR", "/tmp")) / f"tmux-{os.getuid()}" / name
    if socket.exists():
        subprocess.run(["tmux", "-L", name, "kill-server"], check=False, capture_output=True, timeout=10)
        socket.unlink(missing_ok=True)
        pytest.fail(f"{name} was left behind")


@pytest.fixture
async def terminal(socket_name: str, tmp_path: Path, environment: dict[str, str]) -> AsyncIterator[TmuxTerminal]:
    """A started terminal on a server of its own."""
    terminal = TmuxTerminal(socket_name, config_dir=tmp_path / "tmux", environment=environment)
    await terminal.start()
    yield terminal
    await terminal.stop_server()


@pytest.fixture
def ask(socket_name: str) -> Callable[..., str]:
    """Say something to the test's server behind the adapter's back."""

    def run(*args: str) -> str:
        command = ["tmux", "-L", socket_name, *args]
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.rstrip("\n")

    return run


@pytest.fixture
def eventually() -> Eventually:
    """Wait until a condition, plain or async, gives something true, and return that."""

    async def wait(condition: Callable[[], Any], timeout_s: float = 8.0) -> Any:
        deadline = time.monotonic() + timeout_s
        while True:
            value = condition()
            if inspect.isawaitable(value):
                value = await value
            if value:
                return value
            if time.monotonic() > deadline:
                pytest.fail(f"never came true: {inspect.getsource(condition).strip()}")
            await asyncio.sleep(0.02)

    return wait
