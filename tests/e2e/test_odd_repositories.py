"""Repositories that git allows and tools forget: SHA-256 ids, names of files and branches that are not UTF-8."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from aegis_tui.testing.scratch import ScratchWorkspace


@pytest.fixture
def odd_workspace() -> Iterator[ScratchWorkspace]:
    scratch = ScratchWorkspace()
    scratch.environ["GIT_DEFAULT_HASH"] = "sha256"
    scratch.init({"README.md": "odd\n"})
    folder = scratch.root / os.fsdecode(b"lat\xe9")
    folder.mkdir()
    (folder / os.fsdecode(b"old\xe9.txt")).write_text("old\n")
    scratch.git("checkout", "-q", "-b", os.fsdecode(b"br\xe9"))
    scratch.git("add", "-A")
    scratch.git("commit", "-q", "-m", "odd names")
    yield scratch
    left = scratch.leftovers()
    scratch.close()
    assert left == []


@pytest.fixture(scope="module")
def other_server() -> Iterator[str]:
    program = Path(__file__).parents[1] / "agent" / "other_model_server.py"
    with subprocess.Popen([sys.executable, str(program)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.terminate()


def test_names_that_are_not_utf8_go_through_a_run_in_a_sha256_repository(
    odd_workspace: ScratchWorkspace, other_server: str
) -> None:
    assert len(odd_workspace.git("rev-parse", "HEAD")) == 64
    new, old = r'"lat\351/new\351.txt"', r'"lat\351/old\351.txt"'
    design = {
        "goal": "Write odd names",
        "features": [
            {
                "id": "one",
                "title": "One",
                "brief": f"FILE {new}: new\\n\nFILE {old}: changed\\n",
                "partition": ["lat*/**"],
            },
            {"id": "two", "title": "Two", "brief": "FILE README.md: two\\n", "partition": ["README.md"]},
        ],
        "qa": {"commands": ["test -e README.md"]},
    }
    path = odd_workspace.folder / "design.yaml"
    path.write_text(json.dumps(design))
    odd_workspace.aegis("hub", "start")
    answer = odd_workspace.aegis(
        *("run", "Write odd names", "--design", str(path), "--base-url", other_server, "--headless", "--json")
    )
    assert answer.code == 0, (answer.out, answer.err)
    changed = odd_workspace.git("diff", "--name-only", "HEAD", "aegis/run1/result").splitlines()
    assert sorted(changed) == sorted([new, old, "README.md"])
    seen = {event["data"].get("path") for event in odd_workspace.events() if event["type"] == "file:changed"}
    assert {new, old} <= seen
    for command in ("status", "report", "events", "conflicts"):
        shown = odd_workspace.aegis(command, "--json")
        assert shown.code == 0, (command, shown.err)
    locked = odd_workspace.aegis("lock", "acquire", new, "--json")
    assert locked.json["locks"][0]["path"] == new
    folder = odd_workspace.aegis("lock", "acquire", os.fsdecode(b"lat\xe9"), "--json")
    assert folder.json["locks"][0]["path"] == r'"lat\351"'
    odd_workspace.aegis("hub", "stop")
