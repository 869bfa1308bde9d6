"""Finds conditions of a repository that would hinder a run; checked once before any work. Only reads."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import shutil
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path

from aegis_tui.adapters.environment.active import program_folders
from aegis_tui.adapters.environment.virtualenv import base_prefixes, is_virtualenv
from aegis_tui.adapters.git.discovery import Discovery
from aegis_tui.adapters.git.run import GitRunner
from aegis_tui.adapters.git.settings import GitSettings
from aegis_tui.domain.path.file_name import write_name
from aegis_tui.errors import GitError
from aegis_tui.ports.repository_condition import MissingFilter, PartialClone, RepositoryCondition

_REMOTE_DEADLINE_S = 20.0
_WALK_DEADLINE_S = 120.0
_SUBMODULE = "160000 "
_FILTER_KEYS = ("process", "clean", "smudge", "required")
_PROMISOR = re.compile(r"remote\..*\.promisor", re.DOTALL)
_PLAIN_PROGRAM = re.compile(r"[\w./+@-]+\Z")


class Condition:
    """Examines one repository. Its methods raise `GitError` if git fails, `GitUnavailable` if it cannot be started.

    Args:
        place: The paths of the repository.
        runner: Runs git in its common folder.
        settings: The person's settings.
    """

    def __init__(self, place: Discovery, runner: GitRunner, settings: GitSettings) -> None:
        self._place, self._runner, self._settings = place, runner, settings

    async def look(self) -> RepositoryCondition:
        """Return the conditions that may make a run fail; changes nothing. May ask the remote of a partial clone.

        They are: folders of git that cannot be written, borrowed object stores that are gone, required filters whose
        program is missing, a partial clone that lacks objects, submodules, files of Git LFS, a sparse checkout, and
        signed commits.

        Raises:
            GitError: The repository has no commit, or git fails.
        """
        tree = (await self._runner.run("ls-tree", "-r", "-z", "--full-tree", await self._head())).fields()
        commands = await self._filter_commands()
        return RepositoryCondition(
            closed=tuple(await asyncio.to_thread(_closed, self._place.common_dir)),
            lost_alternates=tuple(path for path in alternates_of(self._place.common_dir) if not path.is_dir()),
            missing_filters=tuple([item async for item in self._missing_filters(commands)]),
            partial=await self._partial(),
            submodules=tuple(write_name(row.partition("\t")[2]) for row in tree if row.startswith(_SUBMODULE)),
            lfs_file=await self._lfs_file(tree) if "lfs" in commands else "",
            is_sparse=await self._is_true("core.sparseCheckout"),
            signs_commits=await self._is_true("commit.gpgSign"),
        )

    async def checkout_bytes(self) -> int:
        """Return the size of all files of HEAD in bytes; 0 in a partial clone, where asking would fetch objects.

        Raises:
            GitError: The repository has no commit, or git fails.
        """
        if await self._promisor() is not None:
            return 0
        rows = (await self._runner.run("ls-tree", "-r", "-l", "-z", "--full-tree", await self._head())).fields()
        sizes = (row.partition("\t")[0].split()[3] for row in rows)
        return sum(int(size) for size in sizes if size.isdigit())

    async def filter_programs(self) -> tuple[Path, ...]:
        """Return the programs of git's configured filters that are named by an absolute path.

        A sandbox must show them so that commits work. Every absolute path in a filter's command counts. Those that are
        no file or cannot be executed are left out; empty if there are none. For the Python of a virtual environment,
        such as that of nbstripout, the environment and what it is based on is returned.

        Raises:
            GitError: git fails.
        """
        words = (word for _, command in (await self._filter_commands()).values() for word in _words(command))
        paths = (Path(word) for word in words if word.startswith("/"))
        programs = (path for path in paths if path.is_file() and os.access(path, os.X_OK))
        return tuple(dict.fromkeys(shown for path in programs for shown in _with_environment(path)))

    async def _head(self) -> str:
        own = self._place.git_dir
        return "HEAD" if own == self._place.common_dir else f"worktrees/{own.name}/HEAD"

    async def _is_true(self, key: str) -> bool:
        runner = GitRunner(git_dir=self._place.git_dir, cwd=self._place.root)
        return (await runner.run("config", "--type=bool", "--get", key, ok=(0, 1, 128))).text == "true"

    async def _filter_commands(self) -> dict[str, tuple[bool, str]]:
        """Return, by the name of each configured filter, whether it is required, and the command that git runs for it.

        Of several commands it is that for `process`, else `clean`, else `smudge`; "" if the filter has none. Raises
        `GitError` if git fails.
        """
        settings = {
            name: value
            for name, value in (await self._settings.values("filter.")).items()
            if name.rpartition(".")[2] in _FILTER_KEYS
        }
        names = dict.fromkeys(key.partition(".")[2].rpartition(".")[0] for key in settings)
        commands = {}
        for name in names:
            own = {kind: settings.get(f"filter.{name}.{kind}", "") for kind in _FILTER_KEYS}
            is_required = own["required"].lower() in ("true", "yes", "on", "1")
            commands[name] = (is_required, own["process"] or own["clean"] or own["smudge"])
        return commands

    async def _missing_filters(self, commands: dict[str, tuple[bool, str]]) -> AsyncIterator[MissingFilter]:
        for name, (is_required, command) in commands.items():
            program = program_of(command)
            if not is_required or program is None or _is_runnable(program, self._place.root):
                continue
            if example := await self._filtered_file(name):
                yield MissingFilter(name, program, example)

    async def _lfs_file(self, tree: Iterable[str]) -> str:
        """Return a tracked file that Git LFS keeps, or "". `tree` has the rows of `ls-tree -r -z`."""
        has_attributes = any(row.endswith(".gitattributes") for row in tree)
        return (has_attributes and await self._filtered_file("lfs")) or ""

    async def _filtered_file(self, name: str) -> str | None:
        """Return the written form of the path of one tracked file that uses the filter of this name.

        None if there is none, the repository is bare, or the name has other characters than letters, digits, _ and -.
        Raises `GitError` if git fails.
        """
        if self._place.is_bare or not re.fullmatch(r"[\w-]+", name):
            return None
        runner = GitRunner(git_dir=self._place.git_dir, cwd=self._place.root)
        listed = await runner.run(
            "ls-files", "-z", "--", f":(top,attr:filter={name})", work_tree=self._place.root, ok=(0, 128)
        )
        return next((write_name(path) for path in listed.fields()), None)

    async def _promisor(self) -> str | None:
        settings = {item.name: item.value or "" for item in await self._settings.list_all()}
        for key, value in settings.items():
            if key == "extensions.partialclone":
                return value
            if _PROMISOR.fullmatch(key) and value.lower() in ("true", "yes", "on", "1", ""):
                return key.removeprefix("remote.").removesuffix(".promisor")
        return None

    async def _partial(self) -> PartialClone | None:
        """Return what a partial clone lacks: its remote, how many objects of HEAD, and why the remote cannot be asked.

        The reason is "" if the remote answers. None if this is no partial clone, or if it lacks nothing. Raises
        `GitError` if git fails.
        """
        if (remote := await self._promisor()) is None:
            return None
        walk = ("rev-list", "--objects", "--no-object-names", "--missing=print", "--max-count=1", await self._head())
        listed = await self._runner.run(*walk, ok=(0, 128), deadline_s=_WALK_DEADLINE_S)
        missing = sum(line.startswith("?") for line in listed.text.splitlines())
        if not missing:
            return None
        try:
            asked = await self._runner.run(
                "ls-remote", "--quiet", "--", remote, "HEAD", ok=(0, 128), deadline_s=_REMOTE_DEADLINE_S
            )
        except GitError as error:
            return PartialClone(remote, missing, error.message)
        lines = [line for line in asked.stderr.splitlines() if line.startswith(("fatal:", "error:"))]
        return PartialClone(remote, missing, "" if asked.code == 0 else (lines or ["it does not answer"])[0])


def program_of(command: str) -> str | None:
    """Return the program at the start of a filter's command; None if it is empty or only a shell could find it."""
    words = _words(command)
    return words[0] if words and _PLAIN_PROGRAM.match(words[0]) else None


def _words(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError:
        return []


def _is_runnable(program: str, root: Path) -> bool:
    if "/" not in program:
        return shutil.which(program) is not None
    path = root / program
    return path.is_file() and os.access(path, os.X_OK)


def alternates_of(common_dir: Path) -> list[Path]:
    """Return the object stores that a repository borrows from, directly or not; empty if none. Some may not exist.

    Source: gitrepository-layout(5).
    """
    alternates: dict[Path, None] = {}
    waiting = [common_dir / "objects"]
    while waiting:
        store = waiting.pop()
        try:
            lines = (store / "info" / "alternates").read_text(errors="surrogateescape").splitlines()
        except OSError:
            continue
        for line in lines:
            if line and not line.startswith("#"):
                path = Path(os.path.normpath(store / line.strip('"')))
                if path not in alternates:
                    alternates[path] = None
                    waiting.append(path)
    return list(alternates)


def _with_environment(program: Path) -> Iterator[Path]:
    """Yield a program, or for one in a virtual environment that environment and the folders of what it is based on."""
    prefix = program.parent.parent
    if is_virtualenv(prefix):
        yield prefix
        yield from program_folders(base_prefixes(prefix))
    else:
        yield program


def _closed(common_dir: Path) -> list[Path]:
    """Return the folders in a git folder that commits, branches and worktrees need but that this user cannot write.

    Folders that do not exist are left out; empty if all can be written.
    """
    names = ("", "objects", "refs", "refs/heads", "logs", "logs/refs/heads", "worktrees")
    folders = [*(common_dir / name for name in names), *sorted((common_dir / "objects").glob("[0-9a-f][0-9a-f]"))]
    return [path for path in folders if path.is_dir() and not os.access(path, os.W_OK | os.X_OK)]
