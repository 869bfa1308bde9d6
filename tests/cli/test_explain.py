"""`explain` asks the pane of an instance too: its process, its title and its screen (PANE-5)."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

import pytest

from aegis_tui.bootstrap.panes import terminal_of
from aegis_tui.bootstrap.sources import read_sources
from aegis_tui.domain.instance.belief import believe, of_hub
from aegis_tui.domain.instance.model import Instance, Phase
from aegis_tui.ports.terminal import PaneSpec
from aegis_tui.sdk.discovery import WorkspacePaths, workspace_key_of, workspace_paths
from aegis_tui.testing.scratch import ScratchWorkspace

SCREENS = Path(__file__).resolve().parents[1] / "domain" / "hosting" / "screens"
WORKER = Instance(
    agent_id="CLAUDE-CODE-w01", instance_id="w01", role="worker", kind="claude-code", planned_at="2026-01-01T00:00:00Z",
    phase=Phase.JOINED, state="implementing", pane="%0",
)  # fmt: skip


@pytest.fixture
def paths(served: ScratchWorkspace, monkeypatch: pytest.MonkeyPatch) -> WorkspacePaths:
    for name, value in served.environ.items():
        monkeypatch.setenv(name, value)
    return workspace_paths(workspace_key_of(served.root), served.environ)


def shown_in_a_pane(paths: WorkspacePaths, served: ScratchWorkspace, script: str) -> dict[str, tuple[str | None, str]]:
    """What the sources say while a pane runs a shell script; the tmux server is gone afterwards."""

    async def open_pane() -> None:
        terminal = terminal_of(paths, served.environ)
        await terminal.start()
        try:
            await terminal.open_pane(PaneSpec(instance="w01", argv=("sh", "-c", script), cwd=served.root))
            await asyncio.sleep(1.0)
        finally:
            await terminal.close()

    asyncio.run(open_pane())
    try:
        return {reading.source: (reading.state, reading.words) for reading in read_sources(paths, WORKER)}
    finally:
        asyncio.run(terminal_of(paths, served.environ).stop_server())


def test_a_program_that_asks_on_its_screen_is_known_to_ask(served: ScratchWorkspace, paths: WorkspacePaths) -> None:
    recorded = json.loads((SCREENS / "claude-code-80x24.json").read_text("utf-8"))["states"]["asking"]["lines"]
    (served.root / "screen.txt").write_text("\n".join(recorded), "utf-8")
    said = shown_in_a_pane(paths, served, "cat screen.txt; sleep 60")
    state, words = said["process"]
    assert state == "running" and re.search(r"; 2 processes with \d+ MiB, \d+\.\d s of processor time$", words)
    assert said["screen"] == ("asking", "Do you want to proceed?")


def test_a_screen_that_no_rule_fits_is_silent_and_an_ended_process_is_a_contradiction(
    served: ScratchWorkspace, paths: WorkspacePaths
) -> None:
    assert shown_in_a_pane(paths, served, "echo hello; sleep 60")["screen"][0] is None
    state, words = shown_in_a_pane(paths, served, "exit 3")["process"]
    assert state == "ended" and "status 3" in words


def test_without_a_tmux_server_the_state_is_unknown(paths: WorkspacePaths) -> None:
    readings = read_sources(paths, WORKER)
    believed = believe(WORKER, [of_hub(answers=True), *readings])
    assert (believed.state, believed.source) == ("unknown", "process")
    assert "is not running" in believed.because
