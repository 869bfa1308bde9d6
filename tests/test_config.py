from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from aegis_tui.cli import main
from aegis_tui.config import ENVIRONMENT, Limits, QaSettings, Settings, describe, load_settings, trace_settings
from aegis_tui.config_files import peek
from aegis_tui.errors import UsageError


def _files(tmp_path: Path, *, user: str = "", project: str = "") -> tuple[dict[str, str], Path]:
    config = tmp_path / "config" / "aegis-tui"
    config.mkdir(parents=True)
    (config / "config.toml").write_text(user)
    root = tmp_path / "repo"
    (root / ".agents").mkdir(parents=True)
    (root / ".agents" / "config.toml").write_text(project)
    return {"XDG_CONFIG_HOME": str(tmp_path / "config"), "HOME": str(tmp_path)}, root


def test_environment_wins_over_project_wins_over_user(tmp_path: Path) -> None:
    environ, root = _files(tmp_path, user="workers = 2\nkind = 'native'", project="workers = 3")
    assert load_settings(environ, project=root).workers == 3
    assert load_settings({**environ, "AEGIS_WORKERS": "5"}, project=root).workers == 5
    assert load_settings(environ).workers == 2


@pytest.mark.parametrize("line", ["base_url = 'http://10.0.0.1/v1'", "sandbox = 'off'", "port = 1"])
def test_a_project_may_not_choose_endpoint_port_or_sandbox(tmp_path: Path, line: str) -> None:
    environ, root = _files(tmp_path, project=line)
    with pytest.raises(UsageError, match="may not be set by a project"):
        load_settings(environ, project=root)


def test_each_value_says_where_it_comes_from(tmp_path: Path) -> None:
    environ, root = _files(tmp_path, user="# mine\ntheme = 'light'\nworkers = 2", project="workers = 3")
    settings, origins = trace_settings({**environ, "AEGIS_MODEL": "m"}, project=root)
    assert (settings.theme, settings.workers, settings.model) == ("light", 3, "m")
    assert origins["theme"] == ("user", f"{tmp_path}/config/aegis-tui/config.toml:2")
    assert origins["workers"] == ("project", f"{root}/.agents/config.toml:1")
    assert origins["model"] == ("environment", "AEGIS_MODEL")
    assert origins["kind"] == ("default", "")


def test_each_setting_is_described_and_has_its_variable_in_the_contract() -> None:
    for model in (Settings, Limits, QaSettings):
        assert {name for name, text in describe(model).items() if text} == set(model.model_fields)
    assert set(ENVIRONMENT) <= set(Settings.model_fields)


def test_config_list_shows_values_and_origins_as_text_and_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    environ, _ = _files(tmp_path, user="theme = 'light'")
    for name, value in {**environ, "AEGIS_BASE_URL": "http://10.0.0.9/v1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    assert main.run(["config", "list", "--show-origin"]) == 0
    lines = {line.split()[0]: line.split() for line in capsys.readouterr().out.splitlines()}
    assert lines["base_url"][1:] == ["http://10.0.0.9/v1", "environment", "AEGIS_BASE_URL"]
    assert lines["theme"][1:] == ["light", "user", f"{tmp_path}/config/aegis-tui/config.toml:1"]
    assert main.run(["config", "list", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert {item["name"]: item["source"] for item in told["settings"]}["theme"] == "user"


def test_an_unknown_setting_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    environ, root = _files(tmp_path, project="worker = 3")
    with pytest.raises(UsageError, match="unknown setting worker") as refused:
        load_settings(environ, project=root)
    assert "workers" in refused.value.hint


def test_a_value_that_does_not_fit_names_its_variable(tmp_path: Path) -> None:
    environ, _ = _files(tmp_path)
    with pytest.raises(UsageError, match="workers") as refused:
        load_settings({**environ, "AEGIS_WORKERS": "many"})
    assert "AEGIS_WORKERS" in refused.value.hint


def test_the_first_frame_waits_for_no_pipe_in_place_of_a_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "config.toml")
    assert peek({"AEGIS_CONFIG": str(tmp_path / "config.toml")}, tmp_path, "theme") is None


def test_what_the_first_frame_needs_is_read_from_the_files_without_a_check(tmp_path: Path) -> None:
    person, project = tmp_path / "config.toml", tmp_path / "project"
    environ = {"AEGIS_CONFIG": str(person)}
    assert peek(environ, project, "theme") is None
    person.write_text('theme = "light"\nworkers = "many"\n')
    assert peek(environ, project, "theme") == "light"
    (project / ".agents").mkdir(parents=True)
    (project / ".agents" / "config.toml").write_text('theme = "ansi"')
    assert peek(environ, project, "theme") == "ansi"
    (project / ".agents" / "config.toml").write_text("theme = 5")
    assert peek(environ, project, "theme") == "light"
    person.write_text("theme = ")
    assert peek(environ, project, "theme") is None


@pytest.mark.parametrize("content", [b"theme = 'ligh\xff'", b"theme =", b"theme = " + b"[" * 50_000])
def test_a_file_that_cannot_be_read_as_toml_is_named_and_the_first_frame_does_without_it(
    tmp_path: Path, content: bytes
) -> None:
    environ, root = _files(tmp_path, user="theme = 'dark'")
    file = root / ".agents" / "config.toml"
    file.write_bytes(content)
    with pytest.raises(UsageError, match=str(file)):
        load_settings(environ, project=root)
    assert peek(environ, root, "theme") == "dark"


def test_a_path_that_the_system_refuses_to_look_at_is_named_and_a_missing_file_is_not(tmp_path: Path) -> None:
    environ, root = _files(tmp_path, project="theme = 'dark'")
    too_long = environ | {"AEGIS_CONFIG": str(tmp_path / ("x" * 5000))}
    with pytest.raises(UsageError, match="too long"):
        load_settings(too_long)
    assert peek(too_long, root, "theme") == "dark"
    assert peek(too_long, root, "layout") is None
    assert load_settings(environ | {"AEGIS_CONFIG": str(tmp_path / "none" / "x")}) == Settings()
