"""`rescue` and `worktree` without a hub: nothing of an agent's work is out of reach (contract 9, GIT-1)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from aegis_tui.testing.scratch import ScratchWorkspace
from tests.workspace import Served


@pytest.fixture(scope="module")
def place() -> Iterator[ScratchWorkspace]:
    scratch = Served()
    try:
        scratch.init({"a.py": "x = 1\n", ".gitignore": "*.log\n"})
        yield scratch
        left = scratch.leftovers()
    finally:
        scratch.close()
    assert left == []


@pytest.fixture
def saved(place: ScratchWorkspace) -> str:
    """A rescue ref as the hub makes it."""
    folder = place.folder / "w"
    place.git("worktree", "add", "-q", "--detach", str(folder))
    (folder / "a.py").write_text("x = 2\n")
    place.git("-C", str(folder), "commit", "-qam", "Rescue of w01 in run run1")
    oid = place.git("-C", str(folder), "rev-parse", "HEAD")
    place.git("worktree", "remove", "--force", str(folder))
    place.git("update-ref", "refs/aegis/rescue/run1/w01/1", oid)
    return oid


def asked(place: ScratchWorkspace, *words: str) -> dict[str, Any]:
    found = json.loads(place.aegis(*words, "--json").out)
    assert isinstance(found, dict)
    return found


def test_saved_work_is_listed_shown_and_restored(place: ScratchWorkspace, saved: str) -> None:
    (row,) = asked(place, "rescue", "list")["rescues"]
    assert (row["oid"], row["run"], row["instance"], row["merged"]) == (saved, "run1", "w01", False)
    shown = asked(place, "rescue", "show", "run1/w01/1", "--diff")
    assert shown["files"] == [{"status": "M", "path": "a.py"}] and "+x = 2" in str(shown["diff"])
    assert asked(place, "rescue", "restore", "run1/w01/1")["branch"] == "rescued/run1-w01-1"
    assert place.git("rev-parse", "rescued/run1-w01-1") == saved
    assert place.aegis("rescue", "restore", "run1/w01/1").code == 4
    out = place.folder / "out"
    assert place.aegis("rescue", "restore", "run1/w01/1", "--to", str(out)).code == 0
    assert (out / "a.py").read_text() == "x = 2\n"
    assert place.aegis("rescue", "restore", "run1/w01/1", "--to", str(out)).code == 2
    assert place.git("status", "--porcelain") == "" and (place.root / "a.py").read_text() == "x = 1\n"


def test_nothing_is_deleted_without_a_yes(place: ScratchWorkspace, saved: str) -> None:
    assert asked(place, "rescue", "prune")["rescues"] == [], "it is young and not merged"
    found = asked(place, "rescue", "prune", "--older-than", "0")
    assert len(found["rescues"]) == 1 and not found["deleted"]
    assert place.git("rev-parse", "refs/aegis/rescue/run1/w01/1") == saved
    told = place.aegis("rescue", "prune", "run1/w01/1", "--yes")
    assert saved in told.out and "NOT MERGED" in told.out, "it can be brought back by its id"
    assert place.git("for-each-ref", "refs/aegis/rescue") == ""
    assert place.aegis("rescue", "prune", "run1/w01/1").code == 2


def test_merged_work_may_be_deleted_at_once(place: ScratchWorkspace, saved: str) -> None:
    assert asked(place, "rescue", "prune", "--merged")["rescues"] == []
    place.git("checkout", "-q", saved, "--", "a.py")
    place.git("commit", "-qm", "the same content")
    assert len(asked(place, "rescue", "prune", "--merged", "--yes")["rescues"]) == 1
    place.git("reset", "-q", "--hard", "HEAD~1")
