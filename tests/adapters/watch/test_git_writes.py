import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from aegis_tui.adapters.watch.git_writes import GitWrites
from aegis_tui.adapters.watch.listing import list_contents, list_files
from aegis_tui.adapters.watch.tree_index import TreeIndex

Look = Callable[[], dict[str, bool]]


def git(folder: Path, *arguments: str, fails: bool = False) -> None:
    identity = ("-c", "user.name=t", "-c", "user.email=t@t.invalid", "-c", "core.editor=true")
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, check=False, capture_output=True)
    assert bool(done.returncode) is fails, done.stderr


def commit(folder: Path, message: str, **contents: str | None) -> None:
    for name, content in contents.items():
        path = folder / f"{name}.py"
        path.unlink() if content is None else path.write_text(content)
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", message)


@pytest.fixture
def linked(worktree: Path, tmp_path: Path) -> Path:
    """A linked worktree on branch `mine`; `other` has changed, removed and added files since."""
    commit(worktree, "first", a="one\n", b="b\n", c="c\n")
    git(worktree, "worktree", "add", "-q", "-b", "mine", str(tmp_path / "linked"))
    git(worktree, "checkout", "-qb", "other")
    commit(worktree, "theirs", a="theirs\n", b=None, d="d\n")
    for path in (tmp_path / "linked").iterdir():
        if path.is_file():
            os.utime(path, (1, 1))
    return tmp_path / "linked"


@pytest.fixture
def look(linked: Path) -> Look:
    """What changed in the linked worktree since the last look, and whether git did it."""
    index, writes = TreeIndex("me", linked), GitWrites(linked)
    index.learn(list_contents(linked))

    def look() -> dict[str, bool]:
        changes = index.compare_all(list_files(linked))
        made = writes.pick(changes)
        return {change.path: change.path in made for change in changes}

    return look


def test_a_checkout_is_gits(linked: Path, look: Look) -> None:
    git(linked, "reset", "-q", "--hard", "other")
    assert look() == {"a.py": True, "b.py": True, "d.py": True}
    git(linked, "checkout", "-q", "--detach", "other~1")
    assert look() == {"a.py": True, "b.py": True, "d.py": True}


def test_a_write_is_nobody_elses_even_if_it_is_added_and_committed_at_once(linked: Path, look: Look) -> None:
    (linked / "a.py").write_text("mine\n")
    (linked / "new.py").write_text("new\n")
    assert look() == {"a.py": False, "new.py": False}
    (linked / "a.py").write_text("mine again\n")
    git(linked, "add", "-A")
    assert look() == {"a.py": False}
    commit(linked, "mine", a="and again\n", c="c again\n")
    assert look() == {"a.py": False, "c.py": False}


def test_a_removal_is_nobody_elses_until_it_is_in_the_commit_that_is_checked_out(linked: Path, look: Look) -> None:
    (linked / "a.py").unlink()
    assert look() == {"a.py": False}
    git(linked, "rm", "-q", "b.py")
    assert look() == {"b.py": False}


def test_a_merge_and_its_conflict_are_gits_and_what_resolves_it_is_not(linked: Path, look: Look) -> None:
    commit(linked, "mine", a="mine\n")
    assert look() == {"a.py": False}
    git(linked, "merge", "-q", "other", fails=True)
    assert look() == {"a.py": True, "b.py": True, "d.py": True}
    (linked / "a.py").write_text("both\n")
    assert look() == {"a.py": False}
    git(linked, "add", "a.py")
    git(linked, "commit", "-q", "--no-edit")
    assert look() == {}


def test_a_rebase_is_gits_with_the_lines_it_merged_and_what_resolves_it_is_not(linked: Path, look: Look) -> None:
    commit(linked, "mine", c="mine\n", a="mine\n")
    look()
    git(linked, "rebase", "-q", "other", fails=True)
    assert look() == {"a.py": True, "b.py": True, "d.py": True}
    (linked / "a.py").write_text("both\n")
    git(linked, "add", "a.py")
    assert look() == {"a.py": False}
    git(linked, "rebase", "--continue")
    assert look() == {}


def test_lines_that_git_merged_are_gits(linked: Path, worktree: Path, look: Look) -> None:
    lines = [f"{number}\n" for number in range(20)]
    commit(worktree, "long", long="".join(lines))
    git(linked, "reset", "-q", "--hard", "other")
    commit(worktree, "last", long="".join([*lines[:-1], "theirs\n"]))
    look()
    for _ in range(5):
        commit(linked, "first", long="".join(["mine\n", *lines[1:]]))
        assert look() == {"long.py": False}
        git(linked, "merge", "-q", "--no-edit", "other")
        assert look() == {"long.py": True}
        git(linked, "reset", "-q", "--hard", "HEAD~1")
        assert look() == {"long.py": True}
        git(linked, "rebase", "-q", "other")
        assert look() == {"long.py": True}
        git(linked, "reset", "-q", "--hard", "other~1")
        look()


def test_what_git_has_gone_on_to_do_since_it_was_seen_is_gits_as_well(linked: Path) -> None:
    index, writes = TreeIndex("me", linked), GitWrites(linked)
    index.learn(list_contents(linked))
    git(linked, "checkout", "-q", "--detach", "other")
    seen = index.compare(["a.py", "b.py"])
    assert [(item.path, item.change_type) for item in seen] == [("a.py", "modified"), ("b.py", "deleted")]
    git(linked, "checkout", "-q", "--detach", "other~1")
    assert writes.pick(seen) == {"a.py", "b.py"}


def test_a_checkout_through_a_filter_is_gits(linked: Path, look: Look) -> None:
    (linked / ".gitattributes").write_text("*.py text eol=crlf\n")
    look()
    git(linked, "reset", "-q", "--hard", "other")
    assert (linked / "a.py").read_bytes() == b"theirs\r\n"
    assert look().items() >= {"a.py": True, "b.py": True, "d.py": True}.items()
