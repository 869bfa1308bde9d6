"""`push` and `pr`: what will go where is shown first, and nothing goes that the person did not mean (GIT-6, GIT-8)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from aegis_tui.adapters.git.push import without_password
from aegis_tui.testing.scratch import ScratchWorkspace
from tests.workspace import Served


@pytest.fixture
def place() -> Iterator[ScratchWorkspace]:
    """A repository with a remote that has its first commit, and a branch with one more."""
    scratch = Served()
    try:
        scratch.init({"a.py": "x = 1\n"})
        remote = scratch.folder / "remote.git"
        scratch.git("init", "-q", "--bare", str(remote))
        scratch.git("remote", "add", "origin", str(remote))
        scratch.git("push", "-q", "origin", "HEAD:refs/heads/main")
        scratch.git("branch", "-q", "result")
        commit(scratch, "a.py", "x = 2\n")
        yield scratch
        left = scratch.leftovers()
    finally:
        scratch.close()
    assert left == []


def commit(place: ScratchWorkspace, name: str, text: str) -> None:
    """Add a commit to the branch `result`; the checkout stays on its branch."""
    folder = place.folder / "w"
    place.git("worktree", "add", "-q", str(folder), "result")
    (folder / name).write_text(text)
    place.git("-C", str(folder), "add", "-A", "-f")
    place.git("-C", str(folder), "commit", "-qm", f"feat: change {name}")
    place.git("worktree", "remove", "--force", str(folder))


def there(place: ScratchWorkspace, branch: str) -> str:
    return place.git("ls-remote", "origin", f"refs/heads/{branch}").partition("\t")[0]


def asked(place: ScratchWorkspace, *words: str) -> tuple[int, dict[str, Any]]:
    done = place.aegis("push", *words, "--json")
    return done.code, json.loads(done.out)


def test_what_would_go_where_is_shown_and_pushed_with_a_yes(place: ScratchWorkspace) -> None:
    oid = place.git("rev-parse", "result")
    code, plan = asked(place, "result", "--to", "search", "--dry-run")
    assert code == 0 and (plan["pushed"], plan["remote"], plan["branch"], plan["old_oid"]) == (
        False,
        "origin",
        "search",
        None,
    )
    assert plan["commits"] == [{"oid": oid, "subject": "feat: change a.py"}]
    assert plan["scanner"].startswith("detect-secrets ") and there(place, "search") == ""
    told = place.aegis("push", "result", "--to", "search", "--yes")
    assert told.code == 0 and "to origin" in told.err and "branch search (new)" in told.err
    assert there(place, "search") == oid and there(place, "result") == ""


def test_nobody_is_asked_without_a_terminal_and_nothing_is_pushed(place: ScratchWorkspace) -> None:
    assert place.aegis("push", "result").code == 2
    assert there(place, "result") == ""


def test_a_secret_is_not_pushed(place: ScratchWorkspace) -> None:
    commit(place, "key.py", "KEY = 'AKIA" + "QYLPMN5HHHFPZAM2'\n")
    code, failure = asked(place, "result", "--yes")
    assert (code, failure["error"]["code"]) == (3, "rules") and there(place, "result") == ""
    assert asked(place, "result", "--yes", "--despite-findings")[0] == 0
    assert there(place, "result") == place.git("rev-parse", "result")


def test_a_secret_that_a_later_commit_removes_is_not_pushed(place: ScratchWorkspace) -> None:
    commit(place, "key.py", "KEY = 'AKIA" + "QYLPMN5HHHFPZAM2'\n")
    commit(place, "key.py", "KEY = None\n")
    code, failure = asked(place, "result", "--yes")
    assert (code, failure["error"]["code"]) == (3, "rules") and there(place, "result") == ""


def test_a_secret_in_the_first_commit_of_all_is_not_pushed(place: ScratchWorkspace) -> None:
    place.git("remote", "add", "empty", str(place.folder / "empty.git"))
    place.git("init", "-q", "--bare", str(place.folder / "empty.git"))
    place.git("checkout", "-q", "--orphan", "fresh")
    (place.root / "key.py").write_text("KEY = 'AKIA" + "QYLPMN5HHHFPZAM2'\n")
    place.git("add", "-A")
    place.git("commit", "-qm", "feat: begin")
    assert asked(place, "fresh", "--remote", "empty", "--yes")[0] == 3
    assert place.git("ls-remote", "empty") == ""
    assert asked(place, "main", "--remote", "empty", "--yes")[0] == 0


def test_a_commit_that_is_no_branch_needs_a_name_on_the_remote(place: ScratchWorkspace) -> None:
    code, failure = asked(place, "HEAD", "--yes")
    assert code == 2 and "--to" in failure["error"]["hint"] and there(place, "HEAD") == ""


def test_commits_of_the_remote_are_never_lost(place: ScratchWorkspace) -> None:
    place.git("push", "-q", "origin", "result:refs/heads/shared")
    place.git("branch", "-q", "-f", "result", "result~1")
    commit(place, "b.py", "y = 1\n")
    code, failure = asked(place, "result", "--to", "shared", "--yes")
    assert (code, failure["error"]["code"]) == (3, "push.not-forward")


def test_the_persons_hook_runs_and_may_refuse(place: ScratchWorkspace) -> None:
    hook = place.root / ".git/hooks/pre-push"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho no >&2; exit 1\n")
    hook.chmod(0o755)
    assert asked(place, "result", "--yes")[0] == 1 and there(place, "result") == ""


def test_an_agent_does_not_push(place: ScratchWorkspace, monkeypatch: pytest.MonkeyPatch) -> None:
    place.environ["AEGIS_INSTANCE"] = "w01"
    code, failure = asked(place, "result", "--yes")
    assert (code, failure["error"]["code"]) == (3, "person.only")


@pytest.mark.parametrize("words", [("nothing",), ("result", "--remote", "other"), ("result", "--to", "a..b"), ()])
def test_what_is_not_there_is_named(place: ScratchWorkspace, words: tuple[str, ...]) -> None:
    assert place.aegis("push", *words, "--yes").code == 2


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://bob:s3cret@example.org/x.git", "https://example.org/x.git"),
        ("https://ghp_token@example.org/x.git", "https://example.org/x.git"),
        ("git@example.org:x.git", "git@example.org:x.git"),
        ("ssh://git@example.org/x.git", "ssh://example.org/x.git"),
    ],
)
def test_a_url_is_shown_without_a_password(url: str, shown: str) -> None:
    assert without_password(url) == shown
