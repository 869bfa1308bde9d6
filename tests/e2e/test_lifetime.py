"""Nothing outlives its purpose: hub, agents, gateway, tmux server, whatever ends first (HUB-1, PANE-8)."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import HeldRun, hold_run


@pytest.fixture
def held_run(tmp_path: Path) -> Iterator[HeldRun]:
    with hold_run(tmp_path, workers=1) as held:
        yield held


@pytest.fixture
def orphaned_run(tmp_path: Path) -> Iterator[HeldRun]:
    """A held run whose agent waits three seconds for a hub that is gone, instead of ten minutes."""
    with hold_run(tmp_path, settings="orphan_s = 3\n", workers=1) as held:
        yield held


def test_stopping_the_hub_in_a_run_asks_and_by_force_saves_and_ends_all(held_run: HeldRun) -> None:
    workspace = held_run.workspace
    (worktree,) = (item["worktree"] for item in workspace.status()["instances"] if item["instance_id"] == "w01")
    (Path(worktree) / "unsaved.txt").write_text("half done")

    refused = workspace.aegis("hub", "stop", "--json")
    assert refused.code == 3
    assert refused.json["error"]["code"] == "hub.run-open"
    assert "--force" in refused.json["error"]["hint"]
    assert workspace.status()["stage"] == "MONITORING"

    ended = workspace.aegis("hub", "stop", "--force")
    assert ended.code == 0, ended.err
    assert workspace.leftovers() == []
    kept = workspace.git("for-each-ref", "--format=%(refname)", "refs/aegis/rescue").splitlines()
    assert "half done" in [workspace.git("show", f"{ref}:unsaved.txt") for ref in kept if "/w01/" in ref]


def test_a_hub_that_is_stopped_right_after_a_cancel_leaves_nothing(held_run: HeldRun) -> None:
    workspace = held_run.workspace
    assert workspace.aegis("cancel", "run1").code == 0
    assert workspace.aegis("hub", "stop").code == 0
    assert workspace.leftovers() == []


def test_agents_whose_hub_is_killed_for_good_save_and_end_and_a_later_hub_goes_on(orphaned_run: HeldRun) -> None:
    workspace = orphaned_run.workspace
    os.kill(workspace.hub_pid(), signal.SIGKILL)
    workspace.until(lambda: not workspace.processes(), what="every process to end", timeout_s=40)

    looked = workspace.aegis("doctor", "--json").json["checks"]
    (left,) = (check for check in looked if check["name"] == "leftovers")
    assert not left["ok"]
    assert str(workspace.root) in left["found"] and "worktrees" in left["found"]
    listed = workspace.aegis("worktree", "list", "--json")
    assert {item["state"] for item in listed.json["worktrees"]} == {"no hub"}
    repaired = workspace.aegis("worktree", "repair", "--json").json["removed"]
    assert "worktree" not in [item["kind"] for item in repaired], "the run can go on in them"

    assert workspace.aegis("hub", "start").code == 0
    assert workspace.aegis("hub", "stop", "--force").code == 0
    assert workspace.leftovers() == []
