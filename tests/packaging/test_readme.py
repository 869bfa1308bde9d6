from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from aegis_tui.testing.sample_repository import create_sample_repository
from tests.forked import run_command

BLOCK = re.compile(r"(?:<!-- not run: (?P<reason>.+?) -->\n)?```(?P<kind>\w+)\n(?P<text>.*?)```", re.DOTALL)
README = Path(__file__).resolve().parent.parent.parent / "README.md"


class Block(NamedTuple):
    kind: str
    text: str
    reason: str | None


def blocks(*kinds: str) -> list[Block]:
    found = BLOCK.finditer(README.read_text("utf-8"))
    return [Block(item["kind"], item["text"], item["reason"]) for item in found if item["kind"] in kinds]


RUNNABLE = [block.text for block in blocks("sh", "console") if block.reason is None]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository with the design that the README shows."""
    folder = tmp_path / "shop"
    create_sample_repository(folder)
    (design,) = (block.text for block in blocks("yaml"))
    (folder / "design.yaml").write_text(design, "utf-8")
    return folder


def environ_of(checkout: Path) -> dict[str, str]:
    home = checkout.parent / "home"
    home.mkdir(exist_ok=True)
    return {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(home),
        "XDG_RUNTIME_DIR": str(home),
        "XDG_STATE_HOME": str(home),
        "LC_ALL": "C.UTF-8",
    }


def run_block(text: str, checkout: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", text],
        cwd=checkout,
        env=environ_of(checkout),
        capture_output=True,
        text=True,
        timeout=160,
        check=False,
        stdin=subprocess.DEVNULL,
    )


@pytest.mark.parametrize("text", RUNNABLE, ids=[text.split("\n")[0].split("  ")[0] for text in RUNNABLE])
def test_a_block_of_the_readme_runs(text: str, checkout: Path) -> None:
    done = run_block(text, checkout)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_block_that_is_not_run_says_why() -> None:
    assert len(RUNNABLE) >= 2
    for block in blocks("sh", "console"):
        assert block.reason is None or len(block.reason) > 10


def help_of(checkout: Path, *names: str) -> str:
    return run_command(*names, "--help", folder=checkout, environ=environ_of(checkout)).stdout


def test_every_command_of_the_readme_exists(checkout: Path) -> None:
    named = set(re.findall(r"aegis-tui ([a-z]+)", "".join(block.text for block in blocks("sh", "console"))))
    said = help_of(checkout)
    for name in sorted(named):
        assert f" {name} " in said, name


def test_every_option_of_the_readme_exists(checkout: Path) -> None:
    for line in "".join(block.text for block in blocks("sh", "console")).splitlines():
        if found := re.match(r"aegis-tui ([a-z]+)", line):
            said = help_of(checkout, found[1])
            for option in re.findall(r"(--[a-z-]+)", line.partition("#")[0]):
                assert option in said, line


def test_scripts_that_the_readme_names_are_there(root: Path) -> None:
    for name in re.findall(r"\./(scripts/[\w.-]+)", README.read_text("utf-8")):
        assert os.access(root / name, os.X_OK), name
