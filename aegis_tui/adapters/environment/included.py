"""`.worktreeinclude`: which ignored files of the person's checkout a new worktree gets a copy of (GIT-1).

The file has the syntax of `.gitignore`, and other tools read it in the same way: what it names is copied if git ignores
it too. It is read from the base commit of the run, so that no piece can change it; the person's own file counts if the
base has none.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from aegis_tui.adapters.environment.folder import read_regular
from aegis_tui.adapters.git.folder import scratch_folder
from aegis_tui.adapters.git.run import GitRunner, joined

NAME = ".worktreeinclude"
_LONGEST_BYTES = 1 << 20
_LIST = ("--literal-pathspecs", "ls-files", "-z", "--others", "--ignored", "--directory")
_NO_GLOBAL_EXCLUDES = ("-c", f"core.excludesFile={os.devnull}")
"""A program in a worktree does not see the person's own list of ignored files: it would commit what only that names."""


class IncludedFiles:
    """Finds the files for one checkout.

    Args:
        root: The person's checkout.
        common_dir: The git folder of the repository.
    """

    def __init__(self, root: Path, common_dir: Path) -> None:
        self._root, self._common_dir = root, common_dir
        self._known: dict[str, tuple[str, ...]] = {}
        self._finding = asyncio.Lock()

    async def find(self, base_oid: str) -> tuple[str, ...]:
        """Return the paths to copy, relative to the checkout, sorted; whole folders end in a slash.

        Found once per base; asking for another base forgets the one before. Empty without a `.worktreeinclude`, and in
        a bare repository, which has no files.

        Raises:
            GitError: git fails.
            OSError: A temporary file cannot be written.
        """
        async with self._finding:
            if base_oid not in self._known:
                self._known = {base_oid: await self._find(base_oid)}
            return self._known[base_oid]

    async def ignored_in(self, worktree: Path, names: Sequence[str]) -> list[str]:
        """Return those paths of the checkout that git ignores in a worktree too, where `.gitignore` may be another.

        A path that leads through a link there is left out: git refuses to say anything about it.

        Raises:
            GitError: git fails.
        """
        within = await asyncio.to_thread(_without_links, worktree, names)
        return await self._ignored(GitRunner(git_dir=self._common_dir, cwd=worktree), worktree, within)

    async def _find(self, base_oid: str) -> tuple[str, ...]:
        if self._root == self._common_dir or not (patterns := await self._patterns(base_oid)).strip():
            return ()
        has_own = (self._root / ".git").exists()
        runner = GitRunner(git_dir=None if has_own else self._common_dir, cwd=self._root)
        with scratch_folder() as scratch:
            (scratch / NAME).write_bytes(patterns)
            named = await runner.run(*_LIST, "-X", str(scratch / NAME), work_tree=self._root)
        ignored = set(await self._ignored(runner, self._root, named.fields()))
        for folder in [name for name in named.fields() if name.endswith("/") and name not in ignored]:
            # Git ignores not the folder, but files in it.
            inside = await runner.run(
                *_NO_GLOBAL_EXCLUDES, *_LIST[:-1], "--exclude-standard", "--", folder, work_tree=self._root
            )
            ignored |= set(inside.fields())
        return tuple(sorted(ignored))

    async def _patterns(self, base_oid: str) -> bytes:
        runner = GitRunner(git_dir=self._common_dir, cwd=self._root)
        answer = await runner.run("cat-file", "blob", f"{base_oid}:{NAME}", ok=(0, 128), output_bytes=_LONGEST_BYTES)
        if answer.code == 0:
            return answer.stdout
        return os.fsencode(await asyncio.to_thread(read_regular, self._root / NAME))

    async def _ignored(self, runner: GitRunner, folder: Path, names: Sequence[str]) -> list[str]:
        if not names:
            return []
        options = ("check-ignore", "-z", "--stdin", "--no-index")
        answer = await runner.run(
            *_NO_GLOBAL_EXCLUDES, *options, work_tree=folder, cwd=folder, stdin=joined(names), ok=(0, 1)
        )
        ignored = set(answer.fields())
        return [name for name in names if name in ignored]


def _without_links(folder: Path, names: Sequence[str]) -> list[str]:
    """Return those of the paths, relative to a folder, that lead through no link in it, in their order; blocking."""
    return [name for name in names if not any((folder / place).is_symlink() for place in _folders_of(name))]


def _folders_of(name: str) -> Iterator[str]:
    """Yield the folders of a path from the top, and the path itself if it ends in a slash, without that slash."""
    for at, letter in enumerate(name):
        if letter == "/":
            yield name[:at]
