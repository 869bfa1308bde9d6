"""A hub of its own for a benchmark: a repository, folders and a process that go away at the end."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from aegis_tui.sdk.discovery import WorkspacePaths, is_running, start_hub, workspace_key_of, workspace_paths
from aegis_tui.sdk.quick import HubAddress, HubQuick

_PLAIN_HUB = (
    "import pathlib, sys; from aegis_tui.bootstrap.bare_hub import main_hub; "
    "sys.exit(main_hub(pathlib.Path(sys.argv[1])))"
)
_WATCHING_HUB = (
    "import pathlib, sys; from aegis_tui.bootstrap.bare_hub import main_hub; "
    "from aegis_tui.bootstrap.watching import watch_repository; "
    "root = pathlib.Path(sys.argv[1]); sys.exit(main_hub(root, services=[watch_repository(root)]))"
)


@dataclass(frozen=True, slots=True)
class BenchPlace:
    """A repository and the folders of its workspace."""

    root: Path
    paths: WorkspacePaths

    def start(self, *, is_watching: bool = False) -> HubAddress:
        """Start its hub and return when it answers."""
        script = _WATCHING_HUB if is_watching else _PLAIN_HUB
        return start_hub(self.paths, self.root, command=[sys.executable, "-c", script, str(self.root)])

    def end(self, address: HubAddress, number: signal.Signals = signal.SIGTERM) -> None:
        """End its hub and wait until it is gone."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(address.pid, number)
        while is_running(address.pid, address.start_time):
            time.sleep(0.005)

    def join(self, address: HubAddress, count: int) -> list[str]:
        """Let `count` instances join; their tokens."""
        quick = HubQuick(address)
        replies = (
            quick.command("agent:register", agent_type="CLAUDE", instance_id=f"n{number}") for number in range(count)
        )
        return [Path(reply["token_file"]).read_text() for reply in replies]


@contextlib.contextmanager
def bench_place() -> Iterator[BenchPlace]:
    """A place in a temporary folder, removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix="ab"))
    old = {name: os.environ.get(name) for name in ("XDG_STATE_HOME", "XDG_RUNTIME_DIR", "AEGIS_PORT")}
    try:
        root = folder / "r"
        subprocess.run(["git", "init", "-q", str(root)], check=True, timeout=30)
        os.environ |= {"XDG_STATE_HOME": str(folder / "s"), "XDG_RUNTIME_DIR": str(folder), "AEGIS_PORT": "0"}
        yield BenchPlace(root, workspace_paths(workspace_key_of(root), os.environ))
    finally:
        for name, value in old.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def bench_hub(*, is_watching: bool = False) -> Iterator[tuple[BenchPlace, HubAddress]]:
    """A hub that runs while the context is open."""
    with bench_place() as place:
        address = place.start(is_watching=is_watching)
        try:
            yield place, address
        finally:
            place.end(address)
