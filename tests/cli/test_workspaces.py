"""`workspaces` lists all repositories, also those that are gone or whose log is damaged."""

from __future__ import annotations

import shutil
from typing import Any

from aegis_tui.sdk.discovery import workspace_key_of, workspace_paths
from aegis_tui.testing.scratch import ScratchWorkspace


def listed(served: ScratchWorkspace) -> list[dict[str, Any]]:
    items = served.aegis("workspaces", "--json").json["workspaces"]
    assert isinstance(items, list)
    return items


def test_the_workspace_of_a_running_hub_is_listed_first_and_broken_ones_as_what_they_are(
    served: ScratchWorkspace,
) -> None:
    (item,) = listed(served)
    assert item["root"] == str(served.root.resolve()) and item["exists"]
    assert item["hub_pid"] == served.hub_pid() and item["run"] is None and not item["damaged"]

    state = workspace_paths(workspace_key_of(served.root), served.environ).state_dir
    (state.parent / "not-a-key").mkdir()
    empty, damaged = state.parent / "0123456789ab", state.parent / "ba9876543210"
    empty.mkdir()
    damaged.mkdir()
    (damaged / "log.db").write_bytes(b"no database " * 500)
    (damaged / "repository.json").write_text('{"root": "/nowhere/at\\u001b[31mall"}')
    try:
        by_key = {item["key"]: item for item in listed(served)}
        assert set(by_key) == {state.name, empty.name, damaged.name}
        assert by_key[damaged.name]["damaged"] and not by_key[damaged.name]["exists"]
        assert by_key[empty.name]["root"] is None and by_key[empty.name]["last_used"] is None
        shown = served.aegis("workspaces").out
        assert "(gone)" in shown and "log damaged" in shown and "\x1b" not in shown
        assert f"unknown repository {empty.name}" in shown
    finally:
        for folder in (empty, damaged, state.parent / "not-a-key"):
            shutil.rmtree(folder)
