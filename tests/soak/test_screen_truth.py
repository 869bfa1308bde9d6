"""The dashboard is opened, closed and killed at random moments of real runs, and no frame says what is not so (TUI-6).

Each frame either says that it is catching up or that no hub answers, or it shows the stage and goal that the hub had
within the last two seconds. Earlier runs stand in the log, so that history shown as the present would be noticed.
"""

from __future__ import annotations

import os
import random
import re
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from aegis_tui.errors import AegisError
from aegis_tui.testing.playground import scripted_server
from aegis_tui.testing.sample_repository import create_sample_repository, scenario_directory
from aegis_tui.testing.scratch import ScratchWorkspace
from aegis_tui.testing.screen import Screen
from tests.workspace import Served

DURATION_S = float(os.environ.get("AEGIS_TRUTH_S", "120"))
SEED = int(os.environ.get("AEGIS_TRUTH_SEED", "7"))
STALE_S, EARLY_S = 2.0, 0.3
FIRST_FRAME_S = 30.0
HONEST = re.compile(r"catching up|no hub|does not answer|starting the hub|looking for")
STAGE = re.compile(r"●\s?(DESIGN|FOUNDATION|DISPATCH|MONITORING|INTEGRATE|FINAL-QA|DONE)")
DONE = re.compile(r"✓\s?DONE")
GOAL = re.compile(r"goal number (\d+)")

pytestmark = [pytest.mark.soak, pytest.mark.timeout(900)]


@dataclass
class Truth:
    """What the hub said, with the time at which it was asked; asked 20 times a second."""

    workspace: ScratchWorkspace
    samples: list[tuple[float, str, str]] = field(default_factory=list)
    ends: threading.Event = field(default_factory=threading.Event)

    def sample(self) -> None:
        while not self.ends.wait(0.05):
            with suppress(AegisError, OSError):
                hub = self.workspace.hub()
                run = hub.state()["run"] if hub else None
                if run:
                    stage = "DONE" if run["status"] == "COMPLETED" and run["ok"] else run["stage"]
                    self.samples.append((time.monotonic(), stage, run["goal"]))

    def held(self, at: float, stage: str, goal: str) -> bool:
        """Whether the hub was in that stage of that goal around then."""
        near = [item for item in self.samples if at - STALE_S <= item[0] <= at + EARLY_S]
        return any(item[1] == stage and goal in item[2] for item in near)

    def around(self, at: float) -> str:
        """What the hub said in the seconds around, each word once, with its age when a frame was taken then."""
        told: dict[tuple[str, str], float] = {}
        for asked_at, stage, goal in self.samples:
            if at - 3 * STALE_S <= asked_at <= at + STALE_S:
                told[stage, goal] = asked_at
        return "; ".join(f"{goal} {stage} until {at - last:.2f} s before" for (stage, goal), last in told.items())


@pytest.fixture
def workspace() -> Iterator[ScratchWorkspace]:
    scratch = Served()
    create_sample_repository(scratch.root)
    (scratch.folder / "screen").mkdir()
    yield scratch
    scratch.aegis("hub", "stop", "--force")
    scratch.close()


def test_no_frame_says_what_is_not_so(workspace: ScratchWorkspace, tmp_path: Path) -> None:
    dice = random.Random(SEED)
    truth = Truth(workspace)
    wrong: list[str] = []
    frames = honest = opened = 0
    with scripted_server(scenario_directory("calm"), tmp_path) as card:
        assert workspace.aegis("hub", "start").code == 0
        runs = threading.Thread(target=_keep_running, args=(workspace, str(card["url"]), truth.ends))
        sampler = threading.Thread(target=truth.sample)
        runs.start()
        sampler.start()
        end = time.monotonic() + DURATION_S
        try:
            while time.monotonic() < end:
                opened += 1
                seen: list[tuple[float, str]] = []
                with Screen(
                    workspace.folder / "screen", workspace.argv(), environ=workspace.environ, cwd=workspace.root
                ) as screen:
                    if dice.random() < 0.7:
                        seen += _watch(screen, FIRST_FRAME_S, until_drawn=True)
                    seen += _watch(screen, dice.uniform(0.2, 8.0))
                    _leave(screen, dice)
                    seen.append((time.monotonic(), screen.text()))
                time.sleep(EARLY_S)
                frames += len(seen)
                for at, text in seen:
                    verdict = _judge(text, at, truth)
                    honest += verdict == "honest"
                    if verdict == "wrong":
                        wrong.append(f"{truth.around(at)}\n{text}")
        finally:
            truth.ends.set()
            sampler.join()
            runs.join()
    print(
        f"seed {SEED}: opened {opened} times, {frames} frames, {honest} said they were not current, {len(wrong)} wrong"
    )
    assert not wrong, wrong[0]
    assert frames > honest + opened, "most frames show a run"


def _watch(screen: Screen, longest_s: float, *, until_drawn: bool = False) -> list[tuple[float, str]]:
    """Every frame for a while, each with its time; or up to the first that shows a run or says why not."""
    seen: list[tuple[float, str]] = []
    end = time.monotonic() + longest_s
    while time.monotonic() < end and not (until_drawn and seen and seen[-1][1].strip()):
        seen.append((time.monotonic(), screen.text()))
        time.sleep(0.05)
    return seen


def _judge(text: str, at: float, truth: Truth) -> str:
    goal = GOAL.search(text)
    stage = STAGE.search(text)
    name = stage[1] if stage else "DONE" if DONE.search(text) else None
    if HONEST.search(text) or name is None or goal is None:
        return "honest"
    return "right" if truth.held(at, name, f"goal number {goal[1]}") else "wrong"


def _leave(screen: Screen, dice: random.Random) -> None:
    """Quit, or be killed, as chance has it."""
    with suppress(psutil.Error, AegisError, TimeoutError, IndexError):
        if dice.random() < 0.5:
            screen.press("q")
            screen.wait_end(5.0)
        else:
            psutil.Process(screen.pid()).kill()


def _keep_running(workspace: ScratchWorkspace, url: str, ends: threading.Event) -> None:
    """One run after the other, each with a goal of its own."""
    design = str(scenario_directory("calm") / "design.yaml")
    number = 0
    while not ends.is_set():
        number += 1
        options = ["--design", design, "--base-url", url, "--note", "reviewer=[[script:reviewer]]", "--headless"]
        workspace.aegis("run", f"goal number {number}", *options)
