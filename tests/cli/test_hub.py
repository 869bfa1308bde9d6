"""`hub` and its neighbours when the hub does not answer (HUB-1, CLI-3)."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from aegis_tui.adapters.git.repository import open_repository
from aegis_tui.cli import hub_stop, place
from aegis_tui.cli.place import Place
from aegis_tui.errors import HubUnavailable
from aegis_tui.ports.repository import Guard, WorktreeSpec
from aegis_tui.sdk import discovery
from aegis_tui.sdk.discovery import WorkspacePaths, find_hub, find_process, is_running, process_start_time
from tests.workspace import Served, clean_workspace

DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(60)"


@pytest.fixture
def deaf(tmp_path: Path) -> Iterator[tuple[Place, subprocess.Popen[str]]]:
    """A place whose hub.json names a process that neither answers nor heeds SIGTERM."""
    paths = WorkspacePaths("0123456789ab", tmp_path / "state", tmp_path / "run" / "k")
    paths.create()
    with subprocess.Popen([sys.executable, "-c", DEAF], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "\n"
        record = {"pid": process.pid, "start_time": process_start_time(process.pid), "url": "", "token": "t"}
        paths.hub_json.write_text(json.dumps({**record, "socket": str(tmp_path / "no.sock")}))
        yield Place(tmp_path, paths), process
        process.kill()


def test_a_hub_that_was_stopped_is_told_and_can_be_ended(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    pid = served.hub_pid()
    os.kill(pid, signal.SIGSTOP)
    for words in (["hub", "status"], ["lock", "list"], ["hub", "start"]):
        with monkeypatch.context() as patch:
            patch.setattr(served, "numbers", {"aegis_tui.sdk.discovery:HEALTH_DEADLINE_S": 0.5})
            refused = served.aegis(*words)
        assert refused.code == 5 and f"hub {pid} does not answer" in refused.err, words
        assert "hub stop" in refused.err
    ended = served.aegis("hub", "stop")
    assert ended.code == 0 and f"hub {pid} stopped" in ended.out
    assert process_start_time(pid) is None
    assert served.aegis("hub", "start").code == 0


def test_a_hub_that_heeds_nothing_is_killed_in_the_end(
    deaf: tuple[Place, subprocess.Popen[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped, process = deaf
    monkeypatch.setattr(hub_stop, "STOP_DEADLINE_S", 0.2)
    monkeypatch.setattr(discovery, "HEALTH_DEADLINE_S", 0.2)
    with pytest.raises(HubUnavailable, match=f"hub {process.pid} does not answer"):
        stopped.find()
    assert find_hub(stopped.paths) is None and find_process(stopped.paths) is not None
    hub_stop.stop_hub(stopped)
    assert process.wait(10) == -signal.SIGKILL
    hub_stop.stop_hub(stopped)


def test_a_hub_that_appears_while_another_is_looked_for_is_not_called_silent(
    deaf: tuple[Place, subprocess.Popen[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After `kill -9` of a hub, an agent and a command may both start one: what the second finds is not asked yet."""
    found, _ = deaf
    written = found.paths.hub_json.read_text()
    found.paths.hub_json.unlink()

    def find_none(paths: WorkspacePaths) -> None:
        assert find_hub(paths) is None
        paths.hub_json.write_text(written)

    monkeypatch.setattr(place, "find_hub", find_none)
    assert found.find() is None
    assert find_process(found.paths) is not None


def test_a_hub_that_is_ending_is_waited_for_and_not_called_silent(deaf: tuple[Place, subprocess.Popen[str]]) -> None:
    found, process = deaf
    end = threading.Timer(0.2, process.kill)
    end.start()
    assert found.find() is None
    end.join()


def test_what_the_checks_of_a_killed_hub_left_goes_with_the_stop(served: Served) -> None:
    (state,) = (served.folder / "state" / "aegis-tui").iterdir()
    os.kill(served.hub_pid(), signal.SIGKILL)
    left = state / "scratch" / "run1-base"
    served.git("worktree", "add", "--detach", "--lock", "--reason", "aegis-tui scratch", str(left))
    (left.parent / "qa-home-x").mkdir()
    assert served.aegis("hub", "stop").code == 0
    assert list(left.parent.iterdir()) == []
    assert "scratch" not in served.git("worktree", "list")
    assert served.aegis("hub", "start").code == 0


def test_a_hub_that_starts_removes_unused_worktrees_beyond_the_budget_and_none_with_work() -> None:
    files = {".agents/config.toml": "[worktrees]\nbudget_mb = 1\n", "large.txt": "0123456789abcdef\n" * 100_000}
    with clean_workspace(files) as scratch:
        assert scratch.aegis("hub", "start").code == scratch.aegis("hub", "stop").code == 0
        (state,) = (scratch.folder / "state" / "aegis-tui").iterdir()
        for name in ("w01", "w02"):
            asyncio.run(add_worktree(scratch.root, state, name))
        (state / "worktrees" / "w02" / "unsaved.txt").write_text("work")
        assert scratch.aegis("hub", "start").code == 0
        scratch.until(lambda: not (state / "worktrees" / "w01").exists(), what="the removal of the unused worktree")
        assert (state / "worktrees" / "w02" / "unsaved.txt").exists()
        assert scratch.git("rev-parse", "aegis/run1/w01") == scratch.git("rev-parse", "HEAD")
        assert scratch.aegis("worktree", "repair").code == scratch.aegis("hub", "stop").code == 0


async def add_worktree(root: Path, state: Path, name: str) -> None:
    repository = await open_repository(root)
    base, branch = await repository.resolve("HEAD"), f"aegis/run1/{name}"
    assert base is not None
    refs = f"refs/heads/{branch}", "refs/heads/aegis/run1/integration"
    guard = Guard(f"NATIVE-{name}", *refs, ("**",), state / "instances" / name / "hooks")
    await repository.add_worktree(WorktreeSpec(name, state / "worktrees" / name, branch, base, guard))


def test_a_process_that_only_has_the_pid_of_a_hub_is_left_alone(deaf: tuple[Place, subprocess.Popen[str]]) -> None:
    place, process = deaf
    record = json.loads(place.paths.hub_json.read_text())
    start_time = record["start_time"]
    place.paths.hub_json.write_text(json.dumps({**record, "start_time": start_time - 100}))
    assert place.find() is None
    hub_stop.stop_hub(place)
    assert is_running(process.pid, start_time)
