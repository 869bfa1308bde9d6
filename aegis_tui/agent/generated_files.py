"""Which files of a worktree programs make, and how: they are made again after a merge, not merged by lines (GIT-3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from aegis_tui.agent.git import Git
from aegis_tui.domain.merge.generated import generator_of
from aegis_tui.domain.merge.lock_file import is_lock_file
from aegis_tui.domain.path.file_name import name_of, write_name
from aegis_tui.domain.scope.lockfile import how_to_make

_ATTRIBUTE: Final = "linguist-generated"
_MOST_FILES: Final = 200
_ATTRIBUTE_BYTES: Final = 1 << 20


async def find_generated(git: Git, paths: Sequence[str], commits: Sequence[str]) -> dict[str, str]:
    """Return those of some files that programs make, each with what is to be done to make it again.

    They are the lockfiles of package managers, those for which `.gitattributes` sets `linguist-generated`, and those in
    which a comment says so. Of more than 200 files, the rest counts as written by hand.

    Args:
        git: Runs git in the worktree.
        paths: The files, in written form.
        commits: The commits or trees whose versions of the files are read.

    Raises:
        GitError: git cannot be started or took too long.
    """
    instructions = {
        path: f"run {how_to_make(path) or 'its package manager'} again" for path in paths if is_lock_file(path)
    }
    others = [path for path in paths if path not in instructions][:_MOST_FILES]
    said = await _said(git, others)
    for path in others:
        if said.get(path, True):
            programs = [program for oid in commits if (program := await _generator(git, oid, path)) is not None]
            if programs or path in said:
                program = next(filter(None, programs), "the program that generates it")
                instructions[path] = f"make it again with {program}"
    return instructions


async def _said(git: Git, paths: Sequence[str]) -> dict[str, bool]:
    """Return path -> whether attributes say that a file is generated; those of which they do not speak are left out."""
    if not paths:
        return {}
    names = map(name_of, paths)
    args = ("check-attr", "-z", _ATTRIBUTE, "--", *names)
    answer = await git.run(*args, with_errors=False, limit_bytes=_ATTRIBUTE_BYTES, errors="surrogateescape")
    fields = answer.output.split("\0")[:-1] if answer.code == 0 else []
    values = zip(fields[::3], fields[2::3], strict=True)
    return {write_name(name): value in ("set", "true") for name, value in values if value != "unspecified"}


async def _generator(git: Git, oid: str, path: str) -> str | None:
    """Return the result of `generator_of` for one version of a file; None if there is none."""
    read = await git.run("cat-file", "blob", f"{oid}:{name_of(path)}", with_errors=False)
    return generator_of(read.output) if read.code == 0 else None
