"""What `worktree list` and the questions about a set-up command say (GIT-1)."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from aegis_tui.cli.setup_consent import ask_for_setup
from aegis_tui.cli.worktree import environment_words
from aegis_tui.domain.environment.model import EnvironmentPlan
from aegis_tui.errors import AegisError, Refused
from aegis_tui.orchestrator.environment import not_allowed
from aegis_tui.sdk.discovery import WorkspacePaths
from aegis_tui.sdk.environments import EnvironmentFolder, worktree_environment


def test_a_worktrees_environment_is_told_in_a_few_words(tmp_path: Path) -> None:
    assert worktree_environment(tmp_path) is None and environment_words(None) == ""
    record = {"prepared": "k", "places": [".venv"], "copied": 2, "left_out": {"x": "why"}, "ports": [20010, 20019]}
    (tmp_path / "environment.json").write_text(json.dumps(record))
    words = environment_words(worktree_environment(tmp_path))
    assert words == "set up, .venv, 2 copies, 1 not copied, ports 20010-20019"
    bare = {"prepared": "", "places": [], "copied": 0, "left_out": {}, "ports": []}
    (tmp_path / "environment.json").write_text(json.dumps(bare))
    assert environment_words(worktree_environment(tmp_path)) == "tracked files only"


class Terminal(io.StringIO):
    """Text as a person types or reads it."""

    def isatty(self) -> bool:
        return True


PLAN = EnvironmentPlan(setup="npm ci", network=True, key="0" * 16, inputs=("package-lock.json",))


@pytest.mark.parametrize(("answer", "allowed"), [("y", True), ("YES", True), ("", False), ("n", False), ("y!", False)])
def test_a_person_reads_the_command_and_only_yes_allows_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str, allowed: bool
) -> None:
    paths, said = WorkspacePaths("k", tmp_path, tmp_path), Terminal()
    monkeypatch.setattr(sys, "stdin", Terminal(f"{answer}\n"))
    monkeypatch.setattr(sys, "stderr", said)
    assert ask_for_setup(not_allowed(PLAN), paths) is allowed
    assert (PLAN.key in EnvironmentFolder(tmp_path / "environments").allowed()) is allowed
    assert all(word in said.getvalue() for word in ("npm ci", "may use the network", "package-lock.json"))


@pytest.mark.parametrize("error", [Refused("another", code="preflight.disk"), AegisError("failed")])
def test_other_refusals_ask_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: AegisError) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal("y\n"))
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert not ask_for_setup(error, WorkspacePaths("k", tmp_path, tmp_path))


def test_without_a_terminal_nobody_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    assert not ask_for_setup(not_allowed(PLAN), WorkspacePaths("k", tmp_path, tmp_path))
