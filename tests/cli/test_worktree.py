"""`worktree list`, `remove` and `repair` where no hub runs: what they remove is saved first (contract 9, GIT-1)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest

from aegis_tui.adapters.git.repository import open_repository
from aegis_tui.ports.repository import Guard, WorktreeSpec
from aegis_tui.sdk.discovery import workspace_paths
from aegis_tui.testing.scratch import ScratchWorkspace
from tests.workspace import Served

BASE = {"a.py": "x = 1\n", ".gitignore": "*.log\n"}


@pytest.fixture
def place() -> Iterator[ScratchWorkspace]:
    """A workspace in which a hub that is gone left two worktrees, each with an untracked and an ignored file."""
    scratch = Served()
    try:
        scratch.init(BASE)
        for name in ("w01", "w02"):
            asyncio.run(leave(scratch, name))
        yield scratch
        left = scratch.leftovers()
    finally:
        scratch.close()
    assert left == []


async def leave(scratch: ScratchWorkspace, name: str) -> None:
    repository = await open_repository(scratch.root)
    paths = workspace_paths(repository.key, scratch.environ)
    guard = Guard(
        agent_id=f"NATIVE-{name}",
        own_ref=f"refs/heads/aegis/run1/{name}",
        integration_ref="refs/heads/aegis/run1/integration",
        allow=("**",),
        hooks_dir=paths.instances_dir / name / "hooks",
    )
    path, base = paths.worktrees_dir / name, scratch.git("rev-parse", "HEAD")
    await repository.add_worktree(WorktreeSpec(name, path, f"aegis/run1/{name}", base, guard))
    (path / "new.py").write_text(f"of {name}\n")
    (path / "made.log").write_text(f"ignored of {name}\n")


def asked(place: ScratchWorkspace, *words: str) -> dict[str, Any]:
    answer = place.aegis("worktree", *words, "--json")
    assert answer.code == 0, answer
    found = json.loads(answer.out)
    assert isinstance(found, dict)
    return found


def saved(place: ScratchWorkspace, instance: str) -> dict[str, str]:
    """Path -> content of the files in the one rescue ref of an instance, as they are restored."""
    refs = place.git("for-each-ref", "--format=%(refname)", "refs/aegis/rescue").split()
    (ref,) = [item for item in refs if f"/{instance}/" in item]
    out = place.folder / f"out-{instance}"
    assert place.aegis("rescue", "restore", ref.removeprefix("refs/aegis/rescue/"), "--to", str(out)).code == 0
    return {str(path.relative_to(out)): path.read_text() for path in out.rglob("*") if path.is_file()}


def test_they_are_listed_removed_and_repaired_with_all_their_work_saved(place: ScratchWorkspace) -> None:
    before = place.git("status", "--porcelain", "--ignored"), place.git("stash", "list"), place.git("rev-parse", "HEAD")
    rows = asked(place, "list")["worktrees"]
    assert [(row["id"], row["dirty"]) for row in rows] == [("w01", True), ("w02", True)]
    assert place.aegis("worktree", "remove", "w09").code == 2
    (gone,) = asked(place, "remove", "w01")["removed"]
    assert gone["kept"] is None or gone["kept"] == ""
    assert saved(place, "w01") == {**BASE, "made.log": "ignored of w01\n", "new.py": "of w01\n"}
    assert [row["id"] for row in asked(place, "list")["worktrees"]] == ["w02"]
    asked(place, "repair")
    assert saved(place, "w02") == {**BASE, "made.log": "ignored of w02\n", "new.py": "of w02\n"}
    assert asked(place, "list")["worktrees"] == [] and asked(place, "repair")["removed"] == []
    after = place.git("status", "--porcelain", "--ignored"), place.git("stash", "list"), place.git("rev-parse", "HEAD")
    assert after == before
