"""A bundle holds what the logs of the workspace say, and no path or name of the machine."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from aegis_tui.application.check import Check
from aegis_tui.cli import bundle
from aegis_tui.sdk.discovery import WorkspacePaths


def test_the_logs_of_the_workspace_are_in_the_bundle_and_its_paths_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = WorkspacePaths("0123456789ab", tmp_path / "states" / "0123456789ab", tmp_path / "run")
    place = SimpleNamespace(root=tmp_path / "mallorys-shop", paths=paths)
    monkeypatch.setattr(bundle, "here", lambda: place)
    monkeypatch.setenv("USER", "mallory")
    paths.hub_log.parent.mkdir(parents=True)
    for name in bundle.LOGS:
        (paths.hub_log.parent / name).write_text(f"{name}: opened {place.root}/a.py for mallory in {paths.state_dir}\n")
    check = Check("disk", True, f"1 GiB free at {paths.state_dir.parent}")
    bundle.write_bundle(tmp_path / "b.json", [check.to_wire()])
    text = (tmp_path / "b.json").read_text()
    found = json.loads(text)
    assert found["logs"] == {name: [f"{name}: opened <repository>/a.py for <user> in <state>"] for name in bundle.LOGS}
    assert found["checks"][0]["found"] == "1 GiB free at <states>"
    assert str(tmp_path) not in text and "mallory" not in text
