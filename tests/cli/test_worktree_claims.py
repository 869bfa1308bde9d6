"""Which worktrees `worktree repair` and `worktree remove` leave alone (GIT-7)."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from aegis_tui.cli.place import Place
from aegis_tui.cli.worktree import _claimed


def test_a_worktree_in_the_making_is_claimed_beside_a_running_hub() -> None:
    """The hub names its path only when it is complete."""
    instances: list[dict[str, Any]] = [
        {"instance_id": "w01", "phase": "planned", "worktree": None},
        {"instance_id": "w02", "phase": "gone", "worktree": "/its/own"},
        {"instance_id": "w03", "phase": "reclaimed", "worktree": "/made/w03"},
    ]
    hub = SimpleNamespace(context=lambda: {"instances": instances})
    place = SimpleNamespace(find=lambda: "a hub", hub=lambda: hub, paths=SimpleNamespace(worktrees_dir=Path("/made")))
    assert _claimed(cast(Place, place)) == {"/made/w01", "/its/own"}
