"""`aegis-tui roles` as a person runs it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from aegis_tui.cli import main
from aegis_tui.domain.role import ROLES

MINE = "---\nname: {name}\ndescription: Ours.\ntools: [read, report]\n---\nDo it our way.\n"


@pytest.fixture
def team(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    subprocess.run(["git", "init", "-q", "-b", "main", str(tmp_path)], check=True, timeout=20)
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / ".agents" / "agents"
    folder.mkdir(parents=True)
    return folder


def answer(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> dict[str, Any]:
    assert main.run(["roles", *words, "--json"]) == code
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_a_file_of_the_team_replaces_the_role_and_adds_one(team: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert {row["name"] for row in answer(capsys, "list")["roles"]} == set(ROLES)
    for name in ("scout", "archivist"):
        (team / f"{name}.md").write_text(MINE.format(name=name))
    listed = answer(capsys, "list")
    own = {row["name"]: row["path"] for row in listed["roles"] if row["origin"] == "team"}
    assert own == {"scout": ".agents/agents/scout.md", "archivist": ".agents/agents/archivist.md"}
    assert {"general", "security", "performance", "style", "compliance"} <= {row["name"] for row in listed["lenses"]}
    assert answer(capsys, "show", "scout")["prompt"] == "Do it our way."
    assert answer(capsys, "show", "worker")["role"]["writes"] is True


def test_a_broken_file_is_named_and_the_others_are_listed(team: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (team / "worker.md").write_text("---\nname: worker\ndescription: d\ntools: [push]\n---\nx\n")
    (team / "scout.md").symlink_to("/etc/passwd")
    assert main.run(["roles", "list"]) == 0
    said = capsys.readouterr().out
    assert "worker.md is not valid" in said and "scout" in said and "commander" in said
    error = answer(capsys, "check", code=3)["error"]
    assert error["code"] == "role.invalid" and "unknown tools: push" in error["message"]
    assert answer(capsys, "show", "nobody", code=2)["error"]["hint"].startswith("Known roles: ")
