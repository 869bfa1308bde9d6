"""Keeps the environments that the set-up command made: the port `PreparedEnvironments` (GIT-1).

A set-up command runs code of the project's dependencies, so what it leaves is read as if an agent had written it:
nothing in it is followed to the outside, and what could lead there is removed before anybody reads it.
"""

from __future__ import annotations

import asyncio
import os
import stat
import time
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

from typing_extensions import override

from aegis_tui.adapters.environment.project import VIRTUALENV_NAMES
from aegis_tui.adapters.git.run import GitRunner
from aegis_tui.adapters.sandbox.toolchain import SYSTEM_PATHS
from aegis_tui.ports.prepared_environment import MadeEnvironment, PreparedEnvironments, SetupPlace
from aegis_tui.ports.repository import Repository
from aegis_tui.sdk.environments import EnvironmentFolder, name_of
from aegis_tui.sdk.untrusted_folder import UntrustedFolder, delete_tree

_KEPT_OF_HOME = (".cargo", "go")
"""What of the HOME of a set-up command is kept: the downloaded packages of Rust and Go."""

_MOST_PATHS = 400
_LIST = ("ls-files", "-z", "--others", "--directory", "--no-empty-directory")


class PreparedFolders(PreparedEnvironments):
    """The environments of one workspace.

    Args:
        folder: Where they are kept.
        repository: The workspace's repository.
        shown: What every sandbox shows besides the system, such as the Python installations on PATH.
    """

    def __init__(self, folder: EnvironmentFolder, repository: Repository, shown: Iterable[Path]) -> None:
        self._folder, self._repository = folder, repository
        self._shown = (*SYSTEM_PATHS, *shown)

    @override
    async def find(self, key: str, tree_oid: str) -> MadeEnvironment | None:
        return await asyncio.to_thread(self._folder.find, key, tree_oid)

    @override
    async def begin(self, key: str, oid: str) -> SetupPlace:
        name = name_of(key, await self._repository.tree_of(oid))
        await self._remove(name)
        home = self._folder.home(name)
        await asyncio.to_thread(partial(home.mkdir, mode=0o700, parents=True))
        worktree = await self._repository.add_scratch(self._folder.tree(name), oid)
        return SetupPlace(name, worktree, home, self._folder.log(name))

    @override
    async def finish(self, place: SetupPlace, command: str, *, network: bool, duration_s: float) -> MadeEnvironment:
        tree = place.worktree.path
        await asyncio.to_thread(_make_safe, tree, self._shown)
        runner = GitRunner(git_dir=place.worktree.admin_dir, cwd=tree)
        untracked = (await runner.run(*_LIST, work_tree=tree)).fields()
        ignored = set((await runner.run(*_LIST, "--ignored", "--exclude-standard", work_tree=tree)).fields())
        tracked = (await runner.run("ls-files", "-z", work_tree=tree)).fields()
        made = [name for name in sorted(ignored) if not _is_environment(name)]
        left_out = [name for name in untracked if not _covered(name, ignored) and not _is_environment(name)]
        await self._unregister(tree)
        await asyncio.to_thread(_forget, tree, [".git", *tracked])
        await asyncio.to_thread(_clear_home, place.home, self._shown)
        result = MadeEnvironment(
            name=place.name,
            command=command,
            network=network,
            duration_s=round(duration_s, 3),
            finished_unix=int(time.time()),
            left_out=tuple(left_out[:_MOST_PATHS]),
            made=tuple(made[:_MOST_PATHS]),
        )
        await asyncio.to_thread(self._folder.record, result)
        return result

    @override
    async def abandon(self, place: SetupPlace) -> None:
        await self._remove(place.name)

    @override
    async def prune(self, keep: int, used: str) -> None:
        others = [item.name for item in await asyncio.to_thread(self._folder.made) if item.name != used]
        kept = {*others[: keep - 1], used}
        for name in await asyncio.to_thread(lambda: list(self._folder.names())):
            if name not in kept:
                await self._remove(name)
                self._folder.log(name).unlink(missing_ok=True)

    async def _unregister(self, tree: Path) -> None:
        """Remove git's record of a worktree and keep its folder, at the same path: files in it name that path.

        Raises:
            AegisError: git fails, or its record cannot be removed; the folder is kept all the same.
            OSError: The folder cannot be renamed.
        """
        aside = tree.with_name("kept")
        await asyncio.to_thread(tree.rename, aside)
        try:
            await self._repository.remove_worktree(tree, rescue=None)
        finally:
            await asyncio.to_thread(aside.rename, tree)

    async def _remove(self, name: str) -> None:
        tree = self._folder.tree(name)
        # Asked of git, not of the folder: the command can delete the `.git` file in it.
        if any(entry.path == tree for entry in await self._repository.list_worktrees()):
            await self._repository.remove_worktree(tree, rescue=None)
        if (self._folder.path / name).exists():
            await asyncio.to_thread(delete_tree, self._folder.path / name)


def _is_environment(name: str) -> bool:
    """Return whether a path is a folder, ending in a slash, with the name of a virtual environment or `node_modules`.

    Such a folder is linked into worktrees, and so need not be copied.
    """
    last = name.rstrip("/").rpartition("/")[2]
    return name.endswith("/") and last in (*VIRTUALENV_NAMES, "node_modules")


def _covered(name: str, ignored: set[str]) -> bool:
    """Return whether git ignores an untracked path, or ignores something in it that is listed by itself."""
    return name in ignored or any(item.startswith(name) for item in ignored if name.endswith("/"))


def _make_safe(tree: Path, shown: tuple[Path, ...]) -> None:
    """Delete links that lead to what no sandbox shows, and everything that is no file, folder or link; blocking.

    Args:
        tree: The folder to search, with everything below it.
        shown: What sandboxes show besides it.

    Raises:
        OSError: The folder cannot be opened, or something in it cannot be deleted.
    """
    real = Path(os.path.realpath(tree))
    with UntrustedFolder(tree) as folder:
        for name in _unsafe(folder, real, shown):
            folder.unlink(name)


def _unsafe(folder: UntrustedFolder, real: Path, shown: tuple[Path, ...]) -> Iterator[str]:
    waiting = ["."]
    while waiting:
        place = waiting.pop()
        for entry, status in list(folder.statuses(place)):
            name = entry if place == "." else f"{place}/{entry}"
            if stat.S_ISDIR(status.st_mode):
                waiting.append(name)
            elif stat.S_ISLNK(status.st_mode):
                target = Path(os.path.realpath(real / name))
                if not any(target.is_relative_to(allowed) for allowed in (real, *shown)):
                    yield name
            elif not stat.S_ISREG(status.st_mode):
                yield name


def _forget(tree: Path, names: Iterable[str]) -> None:
    """Delete tracked files, which each worktree has itself; folders, and names that do not exist, are left. Blocking.

    Raises:
        OSError: The folder cannot be opened, or a file cannot be deleted.
    """
    with UntrustedFolder(tree) as folder:
        for name in names:
            status = folder.status(name)
            if status is not None and not stat.S_ISDIR(status.st_mode):
                folder.unlink(name)


def _clear_home(home: Path, shown: tuple[Path, ...]) -> None:
    """Delete all of a HOME but downloaded packages, and what `_make_safe` deletes of those; blocking.

    Raises:
        OSError: The folder cannot be opened, or something in it cannot be deleted.
    """
    with UntrustedFolder(home) as folder:
        for name in list(folder.names()):
            if name not in _KEPT_OF_HOME:
                folder.remove(name)
    _make_safe(home, shown)
