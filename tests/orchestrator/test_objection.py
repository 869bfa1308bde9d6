"""What is refused about a repository before any work, and what is only said (FLOW-2)."""

from __future__ import annotations

from pathlib import Path

import pytest

from aegis_tui.orchestrator.objection import SPARE_BYTES, disk_objection, objection, remarks
from aegis_tui.ports.repository_condition import MissingFilter, PartialClone, RepositoryCondition

STORE = Path("/r/.git/objects")
FILTER = MissingFilter("lfs", "git-lfs", "big.bin")


@pytest.mark.parametrize(
    ("condition", "code", "words"),
    [
        (
            RepositoryCondition(lost_alternates=(Path("/srv/objects"),)),
            "preflight.alternates",
            ["/srv/objects", "objects/info/alternates"],
        ),
        (RepositoryCondition(closed=(STORE,)), "preflight.store", [str(STORE), "chmod -R u+w", "chown"]),
        (
            RepositoryCondition(missing_filters=(FILTER,)),
            "preflight.filter",
            ["big.bin", "git-lfs", "git config --unset filter.lfs.required"],
        ),
        (
            RepositoryCondition(partial=PartialClone("origin", 3, "fatal: unable to access")),
            "preflight.partial-clone",
            ["3 objects", "origin", "fatal: unable to access", "git fetch --refetch origin"],
        ),
    ],
)
def test_each_objection_names_what_is_wrong_and_the_command_that_helps(
    condition: RepositoryCondition, code: str, words: list[str]
) -> None:
    error = objection(condition)
    assert error is not None and error.code == code
    assert [word for word in words if word not in f"{error.message} {error.hint}"] == []


@pytest.mark.parametrize(
    "condition",
    [
        RepositoryCondition(),
        RepositoryCondition(submodules=("lib/x",), is_sparse=True, signs_commits=True),
        RepositoryCondition(partial=PartialClone("origin", 3, "")),
    ],
)
def test_what_can_work_is_not_refused(condition: RepositoryCondition) -> None:
    assert objection(condition) is None


def test_what_is_only_said_is_one_sentence_each() -> None:
    condition = RepositoryCondition(submodules=("lib/x", "lib/y"), is_sparse=True, signs_commits=True, lfs_file="a.bin")
    said = remarks(condition)
    assert len(said) == 4
    assert "not signed" in said[0] and "git commit --amend --no-edit -S" in said[0]
    assert "sparse" in said[1] and "such as a.bin, but not change them" in said[2] and "lib/x, lib/y" in said[3]
    assert remarks(RepositoryCondition()) == ()


@pytest.mark.parametrize(("short_bytes", "is_refused"), [(0, False), (1, True)])
def test_a_disk_must_hold_every_worktree_that_is_there_at_once(short_bytes: int, is_refused: bool) -> None:
    free = SPARE_BYTES + 3 * 1000 - short_bytes
    error = disk_objection(free_bytes=free, checkout_bytes=1000, worktrees=3, place="/state")
    assert (error is not None) is is_refused
    if error is not None:
        assert error.code == "preflight.disk" and "/state" in error.message and "--workers" in error.hint
