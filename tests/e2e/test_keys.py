"""The session as a person has it: keys into a real pane, and what the screen says (issue 3)."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from aegis_tui.testing.playground import scripted_server
from aegis_tui.testing.sample_repository import create_sample_repository, git_in_sample, scenario_directory
from aegis_tui.testing.scratch import ScratchWorkspace
from aegis_tui.testing.screen import PaneScreen
from tests.e2e.remains import end_all, running
from tests.workspace import Served

pytestmark = pytest.mark.timeout(400)
RUN_S = 180.0
BOTH = "(discounts × wishlist|wishlist × discounts)"
"""The two pieces that conflict; which is named first depends on which is merged first."""


@pytest.fixture
def temp() -> Iterator[Path]:
    """A short folder for temporary files, since socket paths below it are limited."""
    folder = Path(tempfile.mkdtemp(prefix="ae-keys-", dir="/tmp")).resolve()
    yield folder
    end_all(folder)
    shutil.rmtree(folder, ignore_errors=True)


def open_demo(temp: Path) -> PaneScreen:
    for name in ("home", "tmp", "screen"):
        (temp / name).mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "AEGIS_"))}
    environment = {**kept, "TMPDIR": str(temp / "tmp"), "HOME": str(temp / "home"), "TMUX_TMPDIR": str(temp / "home")}
    argv = [sys.executable, "-P", "-m", "aegis_tui", "demo", "--pace", "0"]
    return PaneScreen(temp / "screen", argv, environ=environment, cwd=temp / "home")


def leftovers(temp: Path) -> list[str]:
    files = [str(path) for path in temp.rglob("*") if not path.is_dir()]
    return files + [" ".join(process.info["cmdline"][:5]) for process in running(temp)]


def test_the_demo_by_keys_from_the_first_enter_to_the_commit(temp: Path) -> None:
    with open_demo(temp) as screen:
        screen.wait("New goal", "Add discounts, wish lists and a sales report", r"http://127\.0\.0\.1:\d+/v1, scripted")
        screen.press("Enter")
        screen.wait("scripted", "Instances [1-9]", r"c01 +foundation", timeout_s=RUN_S)
        screen.wait(*(rf"[●◐✓] w0{number} +\w+" for number in (1, 2, 3)), "[●✓]MONITORING", timeout_s=RUN_S)
        screen.wait(r"w01 discounts ─ live", "Locking|Writing|Editing|Reading", timeout_s=RUN_S)
        # What passes quickly may be over before a busy machine looks again; the report tells it at the end.
        screen.wait(rf"X src/shop/routes.py +w0\d|lock:|≠ {BOTH}|✓ {BOTH}", timeout_s=RUN_S)
        screen.wait(rf"≠ {BOTH} +hot|✓ {BOTH} +rebased", timeout_s=RUN_S)
        screen.wait(rf"✓ {BOTH} +rebased", timeout_s=RUN_S)
        screen.wait(r"(discounts|wishlist) +\w+ +[1-9]× sent ba", timeout_s=RUN_S)
        screen.wait("✓DONE", r"one commit: [0-9a-f]{10} on aegis/run1/result", "press r", timeout_s=RUN_S)
        screen.press("r")
        report = screen.wait(
            "Report of run1",
            "[1-9] waited, 0 deadlocks",
            "round 1 +34 passed, 0 failed",
        )
        assert "git merge --ff-only aegis/run1/result" in report
        screen.press(*"jjjj")
        screen.wait(rf"Conflict {BOTH} in src/shop/routes.py: rebased")
        screen.press("Escape")
        screen.wait_gone("Report of run1")
        screen.press("q")
        code, said = screen.wait_end(30), screen.text()
        assert code == 0 and " NO " not in said, said
        assert re.search("result passes its tests +passed", said), said
    assert leftovers(temp) == []


def test_a_demo_that_is_left_in_the_middle_takes_everything_with_it(temp: Path) -> None:
    with open_demo(temp) as screen:
        screen.wait("New goal")
        screen.press("Enter")
        screen.wait(r"● w01 +discounts", timeout_s=RUN_S)
        screen.press("q")
        screen.wait("Leave before run1 has ended", "its agents are stopped")
        screen.press("y")
        assert screen.wait_end(30) == 0
        assert "the demo was closed before its end" in screen.text()
    assert leftovers(temp) == []


@pytest.fixture
def own() -> Iterator[ScratchWorkspace]:
    """A person's own repository."""
    scratch = Served()
    create_sample_repository(scratch.root)
    (scratch.folder / "screen").mkdir()
    yield scratch
    scratch.aegis("hub", "stop")
    left = scratch.leftovers()
    scratch.close()
    assert left == []


TASKS = {
    "commander": "then propose a design with the propose_design tool",
    "search": r"# Your task\s+Catalogue search",
    "receipt": r"# Your task\s+Receipts",
    "reviewer": "Give your verdict by tool",
}


def write_team(folder: Path) -> None:
    """The calm scenario as one script that knows each task by its words, as a model does: only the goal names it."""
    sections = []
    for name, on in TASKS.items():
        text = (scenario_directory("calm") / f"{name}.json").read_text("utf-8")
        script = json.loads(re.sub(r" *\[\[script:[a-z]+\]\]", "", text))
        sections.append({**script, "on": on})
    folder.mkdir()
    (folder / "team.json").write_text(json.dumps({"scripts": sections}), "utf-8")


def test_a_goal_that_is_typed_in_ones_own_repository_becomes_a_design_and_then_a_commit(
    own: ScratchWorkspace, tmp_path: Path
) -> None:
    write_team(tmp_path / "scenario")
    with scripted_server(tmp_path / "scenario", tmp_path, pace=0) as card:
        environment = {**own.environ, "AEGIS_BASE_URL": str(card["url"])}
        with PaneScreen(own.folder / "screen", own.argv(), environ=environment, cwd=own.root) as screen:
            screen.wait("press n to enter a goal", rf"answers at {card['url']}")
            screen.press("n")
            screen.wait("What should be built")
            screen.write("Add a catalogue search and receipts to the shop [[script:team]]")
            screen.press("Enter")
            screen.wait("⚑ 1 needs you", "a proposed design waits for your answer", timeout_s=RUN_S)
            screen.press("!")
            screen.wait("A design is waiting for you", "1 .*accept", "5 .*end this run", "search", "receipt")
            screen.press("1")
            screen.wait("✓DONE", r"one commit: [0-9a-f]{10} on aegis/run1/result", timeout_s=RUN_S)
            screen.wait("press r for the report")
            screen.press("q")
            assert screen.wait_end() == 0
            assert "git merge --ff-only aegis/run1/result" in screen.text()
    assert git_in_sample(own.root, "rev-list", "--count", "main..aegis/run1/result").strip() == "1"
