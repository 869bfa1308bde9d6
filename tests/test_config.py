from __future__ import annotations

from pathlib import Path

import pytest

from aegis_tui.config import load_settings
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
