from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from aegis_tui.adapters.git.object_store import ObjectStore
from aegis_tui.adapters.git.tree_change import compare_trees
from aegis_tui.adapters.git.tree_object import FOLDER, TreeEntry, parse_tree, render_tree
from aegis_tui.errors import GitError
from tests.adapters.git.conftest import Shell


def test_a_tree_is_rendered_as_git_stores_it(repo: Path, git: Shell) -> None:
    for name in ("a.b", "a/inside", "a0", "ab"):
        (repo / name).parent.mkdir(exist_ok=True)
        (repo / name).write_text(name)
    git(repo, "add", "-A")
    oid = git(repo, "write-tree")
    raw = subprocess.check_output(["git", "-C", repo, "cat-file", "tree", oid])
    assert render_tree(dict(reversed(parse_tree(raw, 20).items()))) == raw


def test_a_folder_with_a_zero_before_its_mode_is_a_folder(repo: Path, git: Shell, tmp_path: Path) -> None:
    """Trees as some programs have written them; git reads them, and so do a comparison and a composition."""
    inner = git(repo, "rev-parse", "HEAD:src")
    odd = b"040000 src\0" + bytes.fromhex(inner)
    assert parse_tree(odd, 20) == {b"src": TreeEntry(FOLDER, inner)}
    made = subprocess.run(
        ["git", "-C", repo, "hash-object", "-w", "-t", "tree", "--literally", "--stdin"],
        input=odd,
        capture_output=True,
        check=True,
    )
    (tmp_path / "own").mkdir()
    store = ObjectStore(tmp_path / "own", repo / ".git", 20)
    try:
        plain = store.write_tree({b"src": TreeEntry(FOLDER, inner)})
        assert made.stdout.decode().strip() != plain
        assert compare_trees(store, made.stdout.decode().strip(), plain).paths == frozenset()
    finally:
        store.close()


@pytest.mark.parametrize("raw", [b"100644 cut\0short", b"no mode", b" name\0" + bytes(20), b"100644\0" + bytes(20)])
def test_a_damaged_tree_is_an_error(raw: bytes) -> None:
    with pytest.raises(GitError):
        parse_tree(raw, 20)
