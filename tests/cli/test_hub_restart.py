"""A hub of another version, and the step that it is at (HUB-1)."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, get_args

import pytest

from aegis_tui import __version__
from aegis_tui.cli import hub_restart, place
from aegis_tui.cli.place import Place
from aegis_tui.domain.effect import STEP_WORDS, Effect
from aegis_tui.domain.workspace import Workspace
from aegis_tui.errors import Refused
from aegis_tui.sdk.discovery import WorkspacePaths
from aegis_tui.sdk.quick import HubAddress
from aegis_tui.testing.scratch import ScratchWorkspace
from tests.frozen import scenes

ADDRESS = HubAddress(1, 1.0, "http://x", "/x", "t", version=__version__)
BUSY = scenes.Play()
BUSY.start()
IDLE = Workspace().dump()


def test_every_effect_has_words() -> None:
    assert set(STEP_WORDS) == set(get_args(Effect))


class Desk:
    """A hub that is at a step for some looks, and what became of it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, states: list[dict[str, Any]]) -> None:
        self.done: list[str] = []
        self._states = states
        self.place = Place(Path("/r"), WorkspacePaths("k", Path("/s"), Path("/r")))
        monkeypatch.setattr(hub_restart, "find_process", lambda paths: ADDRESS)
        monkeypatch.setattr(hub_restart, "find_hub", lambda paths: ADDRESS)
        monkeypatch.setattr(hub_restart, "HubQuick", lambda address: self)
        monkeypatch.setattr(hub_restart, "stop_hub", lambda place: self.done.append("stopped"))
        monkeypatch.setattr(Place, "started", lambda place: self._start())
        monkeypatch.setattr(hub_restart, "_POLL_S", 0.0)

    def _start(self) -> HubAddress:
        self.done.append("started")
        return ADDRESS

    def mirror(self) -> dict[str, Any]:
        self.done.append("looked")
        return self._states.pop(0) if len(self._states) > 1 else self._states[0]


def test_the_hub_is_ended_once_no_step_is_due(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    desk = Desk(monkeypatch, states=[BUSY.workspace.dump(), BUSY.workspace.dump(), IDLE])
    assert hub_restart.restart_hub(desk.place, now=False, wait_s=60.0) == ADDRESS
    assert desk.done == ["looked", "looked", "looked", "stopped", "started"]
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 1 and "creating the worktree of NATIVE-c01" in told[0]


def test_a_hub_that_stays_at_work_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(monkeypatch, states=[BUSY.workspace.dump()])
    with pytest.raises(Refused, match="the hub is busy: creating the worktree of NATIVE-c01") as refused:
        hub_restart.restart_hub(desk.place, now=False, wait_s=0.0)
    assert "hub restart --now" in refused.value.hint and "stopped" not in desk.done


def test_a_state_that_cannot_be_read_is_no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(monkeypatch, states=[{"seq": 1}])
    with pytest.raises(Refused, match="cannot read the hub's state"):
        hub_restart.restart_hub(desk.place, now=False)
    assert desk.done == ["looked"]


def test_now_does_not_look(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(monkeypatch, states=[BUSY.workspace.dump()])
    hub_restart.restart_hub(desk.place, now=True)
    assert desk.done == ["stopped", "started"]


def test_an_older_hub_is_told_to_a_person_once_and_replaced(
    served: ScratchWorkspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    record = next((served.folder / "run").rglob("hub.json"))
    fields = json.loads(record.read_text())
    assert fields["version"] == __version__
    assert served.aegis("hub", "status").err == ""
    for _ in range(20):  # the hub puts its record right within a second, on a busy machine before it is read
        record.write_text(json.dumps({**fields, "version": "0.0.1", "of": "a newer one"}))
        told = served.aegis("hub", "status")
        if told.err:
            break
    assert told.code == 0 and "has version 0.0.1" in told.err and "aegis-tui hub restart" in told.err
    restarted = served.aegis("hub", "restart", "--json")
    assert restarted.json["pid"] == served.hub_pid() != fields["pid"]
    assert json.loads(record.read_text())["version"] == __version__


@pytest.mark.parametrize(("instance", "lines"), [("", 1), ("w01", 0)])
def test_an_agent_hears_nothing_of_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, instance: str, lines: int
) -> None:
    old = HubAddress(os.getpid(), 1.0, "http://x", "/x", "t", version=f"0.0.{len(instance)}")
    monkeypatch.setattr(place, "find_hub", lambda paths: old)
    monkeypatch.setenv("AEGIS_INSTANCE", instance)
    here = Place(tmp_path, WorkspacePaths("k", tmp_path, tmp_path))
    here.find(), here.find()
    assert len(capsys.readouterr().err.splitlines()) == lines
