from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from aegis_tui.cli.screenshot import NAMES
from aegis_tui.tui.screenshot import SCREENS
from tests.forked import run_command

DATA = Path(__file__).parents[1] / "tui" / "data"


def shot(*arguments: str) -> subprocess.CompletedProcess[str]:
    return run_command("screenshot", *arguments, folder=Path.cwd(), environ=os.environ)


def test_a_recorded_session_is_pictured_without_anything_from_elsewhere(tmp_path: Path) -> None:
    out = tmp_path / "report.svg"
    log = str(DATA / "default.jsonl")
    done = shot("report", "--size", "80x24", "--theme", "light", "--log", log, "-o", str(out), "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["path"] == str(out)
    svg = out.read_text("utf-8")
    assert "git&#160;merge" in svg or "git merge" in svg
    assert "url(" not in svg.replace("url(#", "") and "@font-face" not in svg


def test_the_help_names_every_screen() -> None:
    assert NAMES.split(", ") == list(SCREENS)


def test_a_wrong_screen_size_or_theme_names_what_there_is(tmp_path: Path) -> None:
    out, log = str(tmp_path / "x.svg"), str(DATA / "proposed.jsonl")
    for arguments, words in (
        (["moon", "--log", log], "dashboard"),
        (["dashboard", "--log", log, "--size", "big"], "160x48"),
        (["dashboard", "--log", log, "--theme", "pink"], "high-contrast-dark"),
        (["dashboard", "--log", str(tmp_path / "none")], "aegis-tui events"),
    ):
        done = shot(*arguments, "-o", out)
        assert done.returncode == 2 and words in done.stderr, done.stderr
