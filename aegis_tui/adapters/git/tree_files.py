"""Writes a tree in which files have other contents, without a worktree."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from aegis_tui.adapters.git.folder import scratch_folder
from aegis_tui.adapters.git.run import GitRunner
from aegis_tui.domain.path.file_name import name_of


class NewFile(NamedTuple):
    """The mode of a file in a tree, such as `100644`, and its content."""

    mode: str
    content: bytes


async def tree_with(runner: GitRunner, tree: str, files: Mapping[str, NewFile]) -> str:
    """Write a tree that differs from another in these files alone, and return its id.

    Args:
        runner: Runs git in the common folder.
        tree: The other tree.
        files: Path -> the file.

    Raises:
        GitError: There is no such tree, or git fails.
    """
    lines = []
    for path, (mode, content) in files.items():
        oid = (await runner.run("hash-object", "-w", "--stdin", stdin=content)).text
        lines.append(f"{mode} {oid}\t{name_of(path)}\0")
    with scratch_folder() as folder:
        index = {"GIT_INDEX_FILE": str(folder / "index")}
        await runner.run("read-tree", tree, env=index)
        stdin = "".join(lines).encode("utf-8", "surrogateescape")
        await runner.run("update-index", "-z", "--index-info", env=index, stdin=stdin)
        return (await runner.run("write-tree", "--missing-ok", env=index)).text
