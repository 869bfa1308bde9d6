"""The files of a worktree with their blob ids, as the code map reads them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from aegis_tui.adapters.git.content import SnapshotFiles, WorktreeFiles, blob_id
from aegis_tui.adapters.git.repository import open_repository
from aegis_tui.ports.repository import Worktree, WorktreeSpec
from tests.adapters.git.conftest import Shell


@pytest.fixture
def root(git: Shell, tmp_path: Path) -> Path:
    folder = tmp_path / "repo"
    folder.mkdir()
    git(folder, "init", "-q")
    return folder


def test_a_listing_has_the_tree_and_what_differs_from_it(git: Shell, root: Path) -> None:
    files = WorktreeFiles(root)
    (root / "early.py").write_text("e = 1\n")
    assert (files.listing().tree, list(files.listing().files)) == (None, ["early.py"])
    (root / "a.py").write_text("a = 1\n")
    (root / "b.py").write_text("b = 1\n")
    (root / "c.py").write_text("c = 1\n")
    (root / "link.py").symlink_to("/etc/passwd")
    (root / ".gitignore").write_text("ignored\n")
    git(root, "add", "-A")
    git(root, "commit", "-qm", "first")
    (root / "b.py").write_text("b = 2\n")
    (root / "c.py").unlink()
    (root / "ignored").write_text("x")
    (root / "new folder").mkdir()
    (root / "new folder" / "ä.py").write_text("n = 1\n")
    git(root, "mv", "early.py", "late.py")
    listing = files.listing()
    assert listing.tree == git(root, "rev-parse", "HEAD^{tree}")
    assert sorted(listing.files) == [".gitignore", "a.py", "b.py", "late.py", "new folder/ä.py"]
    assert listing.changed == ("b.py", "c.py", "early.py", "late.py", "new folder/ä.py")
    assert listing.files["a.py"] == git(root, "rev-parse", "HEAD:a.py")
    assert listing.files["b.py"] == git(root, "hash-object", "b.py")
    assert listing.contents["b.py"] == b"b = 2\n"


def test_a_content_has_exactly_the_blob_id_that_was_asked_for(git: Shell, root: Path) -> None:
    (root / "a.py").write_text("a = 1\n")
    (root / "b.py").write_text("b = 1\n")
    git(root, "add", "-A")
    git(root, "commit", "-qm", "first")
    files = WorktreeFiles(root)
    listing = files.listing()
    (root / "b.py").write_text("changed since\n")
    assert dict(files.contents(listing.files)) == {"a.py": b"a = 1\n", "b.py": b"b = 1\n"}
    assert files.stale(listing, ["a.py", "b.py", "b.py", "gone.py"]) == ["b.py", "gone.py"]


def test_a_link_is_not_followed_even_if_it_took_the_place_of_a_file(git: Shell, root: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret = 1\n")
    (root / "a.py").write_text("a = 1\n")
    git(root, "add", "-A")
    git(root, "commit", "-qm", "first")
    (root / "a.py").unlink()
    (root / "a.py").symlink_to(tmp_path / "secret")
    (root / "new.py").symlink_to(tmp_path / "secret")
    listing = WorktreeFiles(root).listing()
    assert (dict(listing.files), dict(listing.contents)) == ({}, {})


def test_blob_ids_are_those_of_git_in_both_formats() -> None:
    assert blob_id(b"") == "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"
    assert blob_id(b"", like="0" * 64).startswith("473a0f4c3be8a93681a267e3b1e9a7dc")


def test_an_agent_s_worktree_is_read_without_its_own_git_settings(
    git: Shell, repo: Path, spec: WorktreeSpec, add: Callable[..., list[Worktree]], tmp_path: Path
) -> None:
    (tree,) = add(repo, spec)
    marker = tmp_path / "ran"
    (tree.path / "src/new.py").write_text("n = 1\n")
    (tree.path / "src/a.py").write_text("a = 1\n")
    (tree.path / "src/b.py").unlink()
    (tree.path / "src/.gitattributes").write_text("* filter=evil\n")
    git(tree.path, "config", "--worktree", "core.fsmonitor", f"touch {marker}")
    git(tree.path, "config", "--worktree", "filter.evil.clean", f"touch {marker}; cat")
    repository = asyncio.run(open_repository(repo))
    files = SnapshotFiles(tree.path, repository.common_dir, repository.snapshot_commit)
    listing = files.listing()
    assert listing.tree == git(repo, "rev-parse", "HEAD^{tree}")
    assert listing.changed == ("src/.gitattributes", "src/a.py", "src/b.py", "src/new.py")
    assert "src/b.py" not in listing.files
    wanted = {path: listing.files[path] for path in ("src/a.py", "src/new.py", "README.md")}
    assert dict(files.contents(wanted)) == {"src/a.py": b"a = 1\n", "src/new.py": b"n = 1\n", "README.md": b"shop\n"}
    assert not marker.exists()
