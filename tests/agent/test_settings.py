from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from aegis_tui.agent.scope import WriteScope
from aegis_tui.agent.settings import AgentSettings
from aegis_tui.errors import UsageError


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "token").write_text("secret\n")
    scope = {"partition": ["src/a/**"], "shared": [], "joint": ["x"], "owners": {"src/b/**": "NATIVE-w02"}}
    (tmp_path / "scope.json").write_text(json.dumps(scope))
    return {
        "AEGIS_INSTANCE": "w01",
        "AEGIS_HUB": "unix:/run/hub.sock",
        "AEGIS_TOKEN_FILE": str(tmp_path / "token"),
        "AEGIS_SCOPE_FILE": str(tmp_path / "scope.json"),
        "OPENAI_BASE_URL": "http://127.0.0.1:1/v1",
    }


def load(environment: dict[str, str], worktree: Path) -> AgentSettings:
    return AgentSettings.from_environment(environment, worktree=worktree)


def test_the_environment_of_a_pane_is_enough(environment: dict[str, str], tmp_path: Path) -> None:
    settings = load(environment, tmp_path)
    assert (settings.agent_id, settings.role, settings.model, settings.max_turns) == ("NATIVE-w01", "worker", None, 60)
    assert settings.scope.joint == ("x",)
    assert settings.read_token() == "secret"


def test_without_a_scope_file_nothing_may_be_written(environment: dict[str, str], tmp_path: Path) -> None:
    del environment["AEGIS_SCOPE_FILE"]
    assert load(environment, tmp_path).scope.partition == ()


def test_a_missing_shared_context_is_empty(environment: dict[str, str], tmp_path: Path) -> None:
    environment["AEGIS_BRIEF_CONTEXT"] = str(tmp_path / "none.md")
    assert load(environment, tmp_path).shared_context == ""
    (tmp_path / "none.md").write_text("# Repository\n")
    assert load(environment, tmp_path).shared_context == "# Repository\n"


@pytest.mark.parametrize("name", ["AEGIS_INSTANCE", "AEGIS_HUB", "AEGIS_TOKEN_FILE", "OPENAI_BASE_URL"])
def test_a_missing_variable_is_named(environment: dict[str, str], tmp_path: Path, name: str) -> None:
    del environment[name]
    with pytest.raises(UsageError, match=name):
        load(environment, tmp_path)


def test_a_scope_counts_case_as_its_file_says_and_strictly_when_that_says_nothing(
    environment: dict[str, str], tmp_path: Path
) -> None:
    def allows(path: str) -> bool:
        return WriteScope("NATIVE-w01", load(environment, tmp_path).scope).verdict(path).allowed

    assert (allows("src/a/x.py"), allows("SRC/a/x.py")) == (True, False)
    (tmp_path / "scope.json").write_text(json.dumps({"partition": ["Src/**"], "ignore_case": True}))
    assert allows("src/x.py")


@pytest.mark.parametrize("text", ["{", '{"partition": 1}', '{"unknown": []}'])
def test_a_scope_file_that_does_not_fit_is_refused(environment: dict[str, str], tmp_path: Path, text: str) -> None:
    Path(environment["AEGIS_SCOPE_FILE"]).write_text(text)
    with pytest.raises(UsageError, match="is not valid"):
        load(environment, tmp_path)


@pytest.mark.parametrize("text", ["0", "-1", "many"])
def test_a_turn_limit_that_is_no_number_is_refused(environment: dict[str, str], tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError, match="AEGIS_MAX_TURNS"):
        load({**environment, "AEGIS_MAX_TURNS": text}, tmp_path)


def test_started_by_hand_the_program_says_what_is_missing_and_exits_2(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AEGIS_")}
    done = subprocess.run(
        [sys.executable, "-m", "aegis_tui.agent"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=30,
    )
    assert done.returncode == 2
    assert "AEGIS_INSTANCE is not set" in done.stdout
    assert "Traceback" not in done.stderr
