"""What git says of a commit and of a tree, for reports and detection; rare calls, through GitPython."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from aegis_tui.errors import GitError


async def describe_commit(common_dir: Path, oid: str) -> dict[str, Any]:
    """Subject, number of changed files, and trailers of a commit, read from the repository.

    Raises:
        GitError: There is no such commit.
    """
    return await asyncio.to_thread(_describe, common_dir, oid)


def _describe(common_dir: Path, oid: str) -> dict[str, Any]:
    import git  # raises where there is no git program

    try:
        with git.Repo(common_dir) as repository:
            commit = repository.commit(oid)
            trailers: dict[str, list[str]] = commit.trailers_dict
            changed = commit.parents[0].diff(commit) if commit.parents else commit.diff(git.NULL_TREE)
            return {
                "subject": str(commit.summary),
                "files": len(changed),
                "trailers": {name: list(values) for name, values in trailers.items()},
            }
    except (git.GitError, ValueError, IndexError) as error:
        raise GitError(f"commit {oid} cannot be read", "git fsck") from error


async def list_files(common_dir: Path, oid: str) -> dict[str, str]:
    """Path and blob id of every file of a commit."""
    return await asyncio.to_thread(_list_files, common_dir, oid)


def _list_files(common_dir: Path, oid: str) -> dict[str, str]:
    import git  # raises where there is no git program

    try:
        with git.Repo(common_dir) as repository:
            text = repository.git.ls_tree("-r", "-z", "--full-tree", oid)
    except git.GitError as error:
        raise GitError(f"commit {oid} cannot be read", "git fsck") from error
    found = {}
    for row in text.split("\0"):
        head, tab, path = row.partition("\t")
        if tab and " blob " in head:
            found[path] = head.split()[2]
    return found
