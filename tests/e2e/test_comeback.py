"""kill -9 of screen, hub and gateway in MONITORING: what is seen is right again at once, and the run reaches DONE."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

import psutil
import pytest

from aegis_tui.testing.scratch import ScratchWorkspace
from aegis_tui.testing.screen import Screen

if TYPE_CHECKING:
    from tests.e2e.conftest import HeldRun

pytestmark = pytest.mark.timeout(180)
BOUND_S = 10.0
"""Generous, for machines with much else to do; 3 s are wanted, and what it took is printed."""
RUN_S = 90.0
TRUTH = ("●MONITORING", r"● w01 +search", r"● w02 +receipt", r"scripted model +0 running +2 waiting")
AWAY = "the hub does not answer|no hub runs"


def open_session(workspace: ScratchWorkspace) -> Screen:
    return Screen(workspace.folder / "screen", workspace.argv(), environ=workspace.environ, cwd=workspace.root)


@pytest.fixture
def screen(held_run: HeldRun) -> Iterator[Screen]:
    with open_session(held_run.workspace) as screen:
        screen.wait(*TRUTH, timeout_s=RUN_S)
        yield screen


def process_of(workspace: ScratchWorkspace, module: str) -> psutil.Process | None:
    for item in workspace.processes():
        with suppress(psutil.Error):
            if module in " ".join(item.cmdline()):
                return item
    return None


def right_again(screen: Screen, what: str, since: float) -> None:
    screen.until(lambda text: all(re.search(item, text) for item in TRUTH) and not re.search(AWAY, text), what, BOUND_S)
    print(f"{what}: the screen is right after {time.monotonic() - since:.2f} s")


def finish(held_run: HeldRun, screen: Screen) -> None:
    held_run.release()
    screen.wait("✓DONE", "one commit", "press r for the report", timeout_s=RUN_S)
    screen.press("q")
    assert screen.wait_end() == 0
    assert "git merge --ff-only aegis/run1/result" in screen.text()


def test_a_killed_screen_leaves_the_run_alone_and_shows_the_truth_when_it_is_opened_again(
    held_run: HeldRun, screen: Screen
) -> None:
    psutil.Process(screen.pid()).kill()
    assert screen.wait_end() == 128 + signal.SIGKILL
    screen.close()
    since = time.monotonic()
    with open_session(held_run.workspace) as again:
        right_again(again, "a new screen", since)
        finish(held_run, again)


def test_a_killed_hub_is_told_on_the_screen_and_R_brings_it_back(held_run: HeldRun, screen: Screen) -> None:
    before = held_run.workspace.hub_pid()
    psutil.Process(before).kill()
    since = time.monotonic()
    screen.wait("the hub does not answer", timeout_s=BOUND_S)
    print(f"a killed hub: told after {time.monotonic() - since:.2f} s")
    since = time.monotonic()
    screen.press("R")
    right_again(screen, "a new hub", since)
    assert held_run.workspace.hub_pid() != before
    finish(held_run, screen)


def test_a_hub_that_is_started_from_elsewhere_is_followed(held_run: HeldRun, screen: Screen) -> None:
    psutil.Process(held_run.workspace.hub_pid()).kill()
    screen.wait("the hub does not answer", timeout_s=BOUND_S)
    assert held_run.workspace.aegis("hub", "start").code == 0
    right_again(screen, "aegis-tui hub start", time.monotonic())
    finish(held_run, screen)


def test_a_killed_gateway_comes_back_and_the_agents_go_on(held_run: HeldRun, screen: Screen) -> None:
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
    finish(held_run, screen)
