"""When the dialog of a first session opens: only where nobody has chosen anything yet."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from aegis_tui.cli.place import here
from aegis_tui.cli.session import Look, build_app
from aegis_tui.config_files import project_file, user_file
from aegis_tui.sdk.discovery import WorkspacePaths
from tests.cli.logged import empty_repository, recorded, write_log


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WorkspacePaths:
    monkeypatch.delenv("AEGIS_BASE_URL", raising=False)
    monkeypatch.delenv("AEGIS_CONFIG", raising=False)
    return empty_repository(tmp_path, monkeypatch)


def is_first_use(look: Look | None = None) -> bool:
    return build_app(here(), look or Look()).desk.parts.first_use is not None


def test_it_opens_where_nothing_was_chosen_and_not_after_it_was_left(paths: WorkspacePaths) -> None:
    assert is_first_use()
    build_app(here(), Look()).desk.parts.choices.keep("setup", "skipped")
    assert not is_first_use()


@pytest.mark.parametrize("what", ["user", "project", "flag", "variable", "log"])
def test_it_does_not_open_once_something_was_chosen(
    paths: WorkspacePaths, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    look = Look(base_url="http://127.0.0.1:1/v1") if what == "flag" else Look()
    if what in ("user", "project"):
        path = user_file(os.environ) if what == "user" else project_file(here().root)
        path.parent.mkdir(parents=True)
        path.write_text("workers = 3\n")
    elif what == "variable":
        monkeypatch.setenv("AEGIS_BASE_URL", "http://127.0.0.1:1/v1")
    elif what == "log":
        write_log(paths, recorded())
    assert not is_first_use(look)
