"""A hub that was started for one process ends when that process does (PANE-8)."""

from __future__ import annotations

import os
import subprocess
import sys

from aegis_tui.hub import owner
from tests.workspace import Served


def test_only_a_process_that_started_when_it_is_said_to_is_an_owner() -> None:
    assert owner._is_there(owner.own())
    assert owner._is_there("nonsense"), "what names no process is never gone"
    assert not owner._is_there(f"{os.getpid()} another start")


def test_a_process_that_ended_before_it_became_the_owner_is_gone() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        pass
    assert not owner._is_there(owner.own(process.pid))


def test_a_hub_ends_with_its_owner() -> None:
    scratch = Served()
    try:
        scratch.init({"a.py": ""})
        with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
            scratch.environ[owner.OWNER] = owner.own(process.pid)
            assert scratch.aegis("hub", "start").code == 0
            assert scratch.aegis("hub", "status").code == 0
            process.communicate(b"\n")
        scratch.until(lambda: not scratch.processes(), what="the hub to end")
        assert scratch.leftovers() == []
    finally:
        scratch.close()
