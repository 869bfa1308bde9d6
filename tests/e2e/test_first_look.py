"""A person opens the dashboard once and leaves: what stays behind is known and can be removed (CLI-2)."""

from __future__ import annotations

import sys

from aegis_tui.testing.screen import PaneScreen
from tests.workspace import clean_workspace


def test_a_repository_whose_dashboard_was_only_looked_at_is_known_and_can_be_removed() -> None:
    with clean_workspace({"a.py": "x = 1\n"}) as place:
        folder = place.folder / "screen"
        folder.mkdir()
        argv = [sys.executable, "-P", "-m", "aegis_tui"]
        with PaneScreen(folder, argv, environ=place.environ, cwd=place.root) as screen:
            screen.wait("First use, step 1")
            screen.press("Escape")
            screen.wait("nothing was written")
            screen.press("q")
            assert screen.wait_end() == 0
        (item,) = place.aegis("workspaces", "--json").json["workspaces"]
        assert item["root"] == str(place.root.resolve()) and item["last_used"] is None
        (removed,) = place.aegis("uninstall", "--all", "--yes", "--json").json["workspaces"]
        assert removed["removed"] and not removed["why_kept"]
