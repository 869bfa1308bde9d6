"""Records resolutions with `git rerere`, in a repository of the workspace's own (GIT-3).

The person's settings and their `rr-cache` are neither read nor written. A resolution is known by the conflicting lines,
not by the file's path, as in git. Source: git-rerere(1).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from aegis_tui.adapters.git.folder import scratch_folder
from aegis_tui.adapters.git.object_store import NO_SETTINGS
from aegis_tui.adapters.git.run import GitOutput, GitRunner
from aegis_tui.ports.resolutions import ConflictVersions

_NAME: Final = "file"
"""The name of every file here: what agents call theirs is of no use to git, and could do harm."""
_BINARY_PROBE: Final = 8000
_MOST_CONFLICTS: Final = 127
"""`git merge-file` ends with the number of conflicts, or with this if there are more."""
_SETTINGS: Final = (
    *("-c", "rerere.enabled=true"),
    *("-c", "rerere.autoUpdate=false"),
    *("-c", "merge.conflictStyle=merge"),
    *("-c", "core.autocrlf=false"),
)
_MARKERS: Final = (b"<<<<<<< ", b">>>>>>> ")


class RecordedResolutions:
    """The record. One call at a time works on it; the others wait.

    Args:
        folder: The git folder of the record; it is created when it is needed first.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._runner = GitRunner(git_dir=folder, cwd=folder.parent)
        self._turn = asyncio.Lock()

    async def record(self, versions: ConflictVersions, resolved: bytes) -> bool:
        """Record how a conflict was resolved; see `Resolutions.record`. Raises `GitError` if git fails."""
        if _is_binary(versions) or _has_markers(resolved):
            return False
        async with self._conflict(versions) as work:
            if work is None:
                return False
            known = await work.resolve()
            if known == resolved:
                return True
            if known is not None:
                await work.forget()
            await work.learn(resolved)
            await self._runner.run(*_SETTINGS, "rerere", "gc", env=NO_SETTINGS)
        return True

    async def replay(self, versions: ConflictVersions) -> bytes | None:
        """Return the file resolved as recorded, or None; see `Resolutions.replay`. Raises `GitError` if git fails."""
        if _is_binary(versions) or not self._folder.is_dir():
            return None
        async with self._conflict(versions) as work:
            return await work.resolve() if work is not None else None

    @contextlib.asynccontextmanager
    async def _conflict(self, versions: ConflictVersions) -> AsyncIterator[_Conflict | None]:
        """Yield the conflict in a temporary worktree; None if git merges the versions without one."""
        async with self._turn:
            if not self._folder.is_dir():
                await GitRunner(git_dir=None, cwd=self._folder.parent).run(
                    *("init", "-q", "--bare", "--template=", str(self._folder)), env=NO_SETTINGS
                )
                (self._folder / "rr-cache").mkdir()
            try:
                with scratch_folder() as folder:
                    work = _Conflict(self._runner, folder)
                    yield work if await work.begin(versions) else None
            finally:
                (self._folder / "MERGE_RR").unlink(missing_ok=True)


class _Conflict:
    """One file in conflict, in a worktree and an index that nobody else uses."""

    def __init__(self, runner: GitRunner, folder: Path) -> None:
        self._runner, self._tree = runner, folder / "tree"
        self._objects = folder / "objects"
        self._env = {
            **NO_SETTINGS,
            "GIT_INDEX_FILE": str(folder / "index"),
            "GIT_OBJECT_DIRECTORY": str(self._objects),
        }

    async def begin(self, versions: ConflictVersions) -> bool:
        """Write the conflict; return False if there is none."""
        self._tree.mkdir()
        self._objects.mkdir()
        names = ("ours", "base", "theirs")
        for name in names:
            (self._objects.parent / name).write_bytes(getattr(versions, name))
        paths = [str(self._objects.parent / name) for name in names]
        codes = tuple(range(_MOST_CONFLICTS + 1))
        merged = await self._git("merge-file", "-p", "-q", *paths, ok=codes)
        if merged.code == 0:
            return False
        (self._tree / _NAME).write_bytes(merged.stdout)
        stages = []
        for stage, name in ((1, "base"), (2, "ours"), (3, "theirs")):
            oid = (await self._git("hash-object", "-w", "--no-filters", str(self._objects.parent / name))).text
            stages.append(f"100644 {oid} {stage}\t{_NAME}\0")
        await self._git("update-index", "-z", "--index-info", stdin="".join(stages).encode())
        return True

    async def resolve(self) -> bytes | None:
        """Let git resolve the file; return it if nothing is left in conflict."""
        await self._git("rerere")
        content = (self._tree / _NAME).read_bytes()
        return None if _has_markers(content) else content

    async def forget(self) -> None:
        """Delete the resolution that `resolve` found, so that another one can be recorded."""
        await self._git("rerere", "forget", "--", _NAME)

    async def learn(self, resolved: bytes) -> None:
        """Record the file as the resolution."""
        (self._tree / _NAME).write_bytes(resolved)
        await self._git("rerere")

    async def _git(self, *args: str, stdin: bytes = b"", ok: tuple[int, ...] = (0,)) -> GitOutput:
        return await self._runner.run(*_SETTINGS, *args, work_tree=self._tree, env=self._env, stdin=stdin, ok=ok)


def _is_binary(versions: ConflictVersions) -> bool:
    contents = (versions.base, versions.ours, versions.theirs)
    return any(b"\0" in content[:_BINARY_PROBE] for content in contents)


def _has_markers(content: bytes) -> bool:
    return any(line.startswith(_MARKERS) for line in content.split(b"\n"))
