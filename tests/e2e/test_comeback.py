"""kill -9 of screen, hub and gateway in MONITORING: what is seen is right again at once, and the run reaches DONE.

One run is held for all of it: a test takes something away and waits until the screen is right, the last one ends it.
"""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Iterator
from contextlib import suppress

import psutil
import pytest

from aegis_tui.testing.scratch import ScratchWorkspace
from aegis_tui.testing.screen import PaneScreen
from tests.e2e.conftest import HeldRun, hold_run

pytestmark = pytest.mark.timeout(180)
BOUND_S = 10.0
"""Generous, for machines with much else to do; 3 s are wanted, and what it took is printed."""
RUN_S = 90.0
TRUTH = ("●MONITORING", r"● w01 +search", r"● w02 +receipt", r"scripted model +0 running +2 waiting")
AWAY = "the hub does not answer|no hub is running"


def open_session(workspace: ScratchWorkspace, name: str = "screen") -> PaneScreen:
    place = workspace.folder / name
    place.mkdir(exist_ok=True)
    return PaneScreen(place, workspace.argv(), environ=workspace.environ, cwd=workspace.root)


@pytest.fixture(scope="module")
def held_run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HeldRun]:
    """One run, from which every test here takes something away; the last one lets it go on to its end."""
    with hold_run(tmp_path_factory.mktemp("held")) as held:
        yield held


@pytest.fixture(scope="module")
def screen(held_run: HeldRun) -> Iterator[PaneScreen]:
    with open_session(held_run.workspace) as screen:
        yield screen


@pytest.fixture(autouse=True)
def right_before(screen: PaneScreen) -> None:
    screen.wait(*TRUTH, timeout_s=RUN_S)


def process_of(workspace: ScratchWorkspace, module: str) -> psutil.Process | None:
    for item in workspace.processes():
        with suppress(psutil.Error):
            if module in " ".join(item.cmdline()):
                return item
    return None


def right_again(screen: PaneScreen, what: str, since: float) -> None:
    screen.until(lambda text: all(re.search(item, text) for item in TRUTH) and not re.search(AWAY, text), what, BOUND_S)
    print(f"{what}: the screen is right after {time.monotonic() - since:.2f} s")


def test_a_killed_screen_leaves_the_run_alone_and_shows_the_truth_when_it_is_opened_again(held_run: HeldRun) -> None:
    with open_session(held_run.workspace, "second") as second:
        second.wait(*TRUTH, timeout_s=RUN_S)
        psutil.Process(second.pid()).kill()
        assert second.wait_end() == 128 + signal.SIGKILL
    since = time.monotonic()
    with open_session(held_run.workspace, "second") as again:
        right_again(again, "a new screen", since)


def test_a_killed_hub_is_told_on_the_screen_and_R_brings_it_back(held_run: HeldRun, screen: PaneScreen) -> None:
    before = held_run.workspace.hub_pid()
    psutil.Process(before).kill()
    since = time.monotonic()
    screen.wait("the hub does not answer", timeout_s=BOUND_S)
    print(f"a killed hub: told after {time.monotonic() - since:.2f} s")
    since = time.monotonic()
    screen.press("R")
    right_again(screen, "a new hub", since)
    assert held_run.workspace.hub_pid() != before


def test_a_hub_that_is_started_from_elsewhere_is_followed(held_run: HeldRun, screen: PaneScreen) -> None:
    psutil.Process(held_run.workspace.hub_pid()).kill()
    screen.wait("the hub does not answer", timeout_s=BOUND_S)
    assert held_run.workspace.aegis("hub", "start").code == 0
    right_again(screen, "aegis-tui hub start", time.monotonic())


def test_a_killed_gateway_comes_back_and_the_agents_go_on(held_run: HeldRun, screen: PaneScreen) -> None:
    gateway = process_of(held_run.workspace, "aegis_tui.gateway")
    assert gateway is not None
    gateway.kill()
    since = time.monotonic()

    def another() -> bool:
        found = process_of(held_run.workspace, "aegis_tui.gateway")
        return found is not None and found.pid != gateway.pid

    held_run.workspace.until(another, what="another gateway", timeout_s=BOUND_S)
    print(f"a killed gateway: another one after {time.monotonic() - since:.2f} s")
    right_again(screen, "a new gateway", since)


def test_the_run_that_lost_them_all_reaches_done(held_run: HeldRun, screen: PaneScreen) -> None:
    held_run.release()
    screen.wait("✓DONE", "one commit", "press r for the report", timeout_s=RUN_S)
    screen.press("q")
    assert screen.wait_end() == 0
    assert "git merge --ff-only aegis/run1/result" in screen.text()
