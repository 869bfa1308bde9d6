"""Reads what a piece changes: as text for a person, or as a patch that git can apply."""

from __future__ import annotations

from pathlib import Path

from aegis_tui.adapters.git.run import GitRunner

MOST_BYTES = 4 * 1024 * 1024
"""The longest diff that is read."""

MOST_PATCH_BYTES = 64 * 1024 * 1024
"""The longest patch that is read."""


async def read_piece_diff(common_dir: Path, base_oid: str, head_oid: str) -> str:
    """Return the diff between two commits in git's unified format, renamed files once; bytes that are no UTF-8 escaped.

    No program that the repository names is started (external diff, textconv).

    Args:
        common_dir: The repository's common git folder.
        base_oid: The commit that the piece is based on.
        head_oid: The commit that was submitted.

    Raises:
        GitError: There is no such commit, or the diff has more than `MOST_BYTES`.
    """
    names = ("-c", "core.quotePath=false")
    shown = await _diff_tree(common_dir, *names, "diff-tree", pair=(base_oid, head_oid), most_bytes=MOST_BYTES)
    return shown.decode("utf-8", "surrogateescape")


async def read_patch(common_dir: Path, base_oid: str, head_oid: str) -> bytes:
    """Return what turns one commit into another as a patch for `git apply`, binary files included.

    No program that the repository names is started (external diff, textconv).

    Args:
        common_dir: The repository's common git folder.
        base_oid: The commit to which the patch applies.
        head_oid: The commit that it makes.

    Raises:
        GitError: There is no such commit, or the patch has more than `MOST_PATCH_BYTES`.
    """
    whole = ("diff-tree", "--binary", "--full-index")
    return await _diff_tree(common_dir, *whole, pair=(base_oid, head_oid), most_bytes=MOST_PATCH_BYTES)


async def _diff_tree(common_dir: Path, *first: str, pair: tuple[str, str], most_bytes: int) -> bytes:
    """Return what `git diff-tree` prints about two commits; `first` are its first arguments, with its name."""
    shown = await GitRunner(git_dir=common_dir, cwd=common_dir).run(
        *first,
        *("-r", "-p", "-M", "-U3", "--no-color", "--no-ext-diff", "--no-textconv"),
        *("--src-prefix=a/", "--dst-prefix=b/", "--end-of-options", *pair),
        output_bytes=most_bytes,
    )
    return shown.stdout
