"""The dashboard is opened, closed and killed at random moments of real runs, and no frame says what is not so (TUI-6).

Each frame either says that it is catching up or that no hub answers, or it shows the stage and goal that the hub had
within the last two seconds. Earlier runs stand in the log, so that history shown as the present would be noticed.
"""

from __future__ import annotations

import math
import os
import random
import re
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil
import pytest

from aegis_tui.errors import AegisError
from aegis_tui.testing.playground import scripted_server
from aegis_tui.testing.sample_repository import create_sample_repository, scenario_directory
from aegis_tui.testing.scratch import ScratchWorkspace
from aegis_tui.testing.screen import PaneScreen
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


class Truth:
    """Which stage of which goal the hub was in, from when to when in Unix seconds: all that its log says."""

    def __init__(self, events: Iterable[dict[str, Any]]) -> None:
        self.spans: list[tuple[float, float, str, str]] = []
        goals: dict[str, str] = {}
        for event in events:
            data = event["data"]
            match event["type"]:
                case "run:started":
                    goals[data["run"]] = data["goal"]
                    self._enter(event, "DESIGN", data["goal"])
                case "stage:changed":
                    self._enter(event, data["stage"], goals[data["run"]])

    def _enter(self, event: dict[str, Any], stage: str, goal: str) -> None:
        at = datetime.fromisoformat(event["timestamp"]).timestamp()
        if self.spans:
            began, _, *what = self.spans[-1]
            self.spans[-1] = (began, at, what[0], what[1])
        self.spans.append((at, math.inf, stage, goal))

    def held(self, at: float, stage: str, goal: str) -> bool:
        """Whether the hub was in that stage of that goal around then."""
        return any(
            (stage, goal) == (span[2], span[3]) and span[0] - EARLY_S <= at <= span[1] + STALE_S for span in self.spans
        )

    def around(self, at: float) -> str:
        """What the hub was in during the seconds around, for whoever reads of a wrong frame."""
        near = [span for span in self.spans if span[0] - 2 * STALE_S <= at <= span[1] + 2 * STALE_S]
        return "; ".join(
            f"{goal} {stage} from {began - at:+.2f} s to {end - at:+.2f} s" for began, end, stage, goal in near
        )


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
    seen: list[tuple[float, str]] = []
    opened, ends = 0, threading.Event()
    with scripted_server(scenario_directory("calm"), tmp_path) as card:
        assert workspace.aegis("hub", "start").code == 0
        runs = threading.Thread(target=_keep_running, args=(workspace, str(card["url"]), ends))
        runs.start()
        end = time.monotonic() + DURATION_S
        try:
            while time.monotonic() < end:
                opened += 1
                with PaneScreen(
                    workspace.folder / "screen", workspace.argv(), environ=workspace.environ, cwd=workspace.root
                ) as screen:
                    if dice.random() < 0.7:
                        seen += _watch(screen, FIRST_FRAME_S, until_drawn=True)
                    seen += _watch(screen, dice.uniform(0.2, 8.0))
                    _leave(screen, dice)
                    seen.append((time.time(), screen.text()))
        finally:
            ends.set()
            runs.join()
    truth = Truth(workspace.events())
    verdicts = [(_judge(text, at, truth), at, text) for at, text in seen]
    honest = sum(verdict == "honest" for verdict, _, _ in verdicts)
    wrong = [f"{truth.around(at)}\n{text}" for verdict, at, text in verdicts if verdict == "wrong"]
    count = len(seen)
    print(
        f"seed {SEED}: opened {opened} times, {count} frames, {honest} said they were not current, {len(wrong)} wrong"
    )
    assert not wrong, wrong[0]
    assert count > honest + opened, "most frames show a run"


def _watch(screen: PaneScreen, longest_s: float, *, until_drawn: bool = False) -> list[tuple[float, str]]:
    """Every frame for a while, each with its time; or up to the first that shows a run or says why not."""
    seen: list[tuple[float, str]] = []
    end = time.monotonic() + longest_s
    while time.monotonic() < end and not (until_drawn and seen and seen[-1][1].strip()):
        seen.append((time.time(), screen.text()))
        time.sleep(0.05)
    return seen


def _judge(text: str, at: float, truth: Truth) -> str:
    goal = GOAL.search(text)
    stage = STAGE.search(text)
    name = stage[1] if stage else "DONE" if DONE.search(text) else None
    if HONEST.search(text) or name is None or goal is None:
        return "honest"
    return "right" if truth.held(at, name, f"goal number {goal[1]}") else "wrong"


def _leave(screen: PaneScreen, dice: random.Random) -> None:
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
