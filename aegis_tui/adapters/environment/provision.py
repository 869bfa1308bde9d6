"""Gives a worktree its whole environment (GIT-1): the linked one, copies of named files, and ports of its own.

The parts come from three places: what the set-up command made, the person's checkout, and `.worktreeinclude`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from typing_extensions import override

from aegis_tui.adapters.environment.build_folders import MOST_MB, find_build_folders
from aegis_tui.adapters.environment.caches import CacheFinder
from aegis_tui.adapters.environment.copying import CopyResult, TreeCopy, is_larger
from aegis_tui.adapters.environment.included import IncludedFiles
from aegis_tui.adapters.environment.ports import PortClaims
from aegis_tui.adapters.environment.project import ProjectEnvironment
from aegis_tui.adapters.environment.submodule_files import SubmoduleFiles
from aegis_tui.config import EnvironmentSettings
from aegis_tui.domain.qa.obstacle import Obstacle
from aegis_tui.ports.surroundings import NO_SOURCE, EnvironmentSource, QaEnvironment, Surroundings
from aegis_tui.sdk.environments import EnvironmentFolder

_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class EnvironmentParts:
    """The parts of which the environment of a worktree is made."""

    root: Path
    """The person's checkout, from which ignored files are copied; never written."""
    project: ProjectEnvironment
    included: IncludedFiles
    environments: EnvironmentFolder
    submodules: SubmoduleFiles
    caches: CacheFinder
    ports_dir: Path
    """Holds the claims of ports of all workspaces of this user."""
    find_settings: Callable[[], EnvironmentSettings]
    """Returns the present settings; reads files."""


class ProvidedEnvironment(QaEnvironment):
    """Implements the port `QaEnvironment` with all of its parts.

    Args:
        parts: What it uses.
    """

    def __init__(self, parts: EnvironmentParts) -> None:
        self._parts = parts

    @override
    async def prepare(
        self,
        worktree: Path,
        home: Path,
        commands: Sequence[str],
        *,
        confined: bool,
        committed: bool = False,
        source: EnvironmentSource = NO_SOURCE,
    ) -> Surroundings:
        parts = self._parts
        prepared = parts.environments.tree(source.prepared) if source.prepared else None
        around = await parts.project.prepare(
            worktree, home, commands, confined=confined, committed=committed, prepared=prepared
        )
        if committed and source.base_oid:
            await parts.submodules.fill(worktree, source.base_oid)
        settings = await asyncio.to_thread(parts.find_settings)
        copied = await self._copy(worktree, around.places, source, committed=committed, most_mb=settings.copy_mb)
        made_home = parts.environments.home(source.prepared) if source.prepared else None
        caches = await asyncio.to_thread(parts.caches.prepare, parts.root, home, made_home)
        claims = PortClaims(parts.ports_dir, settings.ports)
        ports = await asyncio.to_thread(claims.claim, worktree)
        return replace(
            around,
            environment={**around.environment, **caches.environment, **ports},
            read_only=(*around.read_only, *caches.read_only),
            copied=copied.files,
            left_out=dict(copied.left_out),
        )

    @override
    async def reads_tree(self, source: EnvironmentSource = NO_SOURCE) -> bool:
        if source.prepared or await self._parts.project.reads_tree():
            return True
        if await asyncio.to_thread((self._parts.root / ".gitmodules").is_file):
            return True
        if await asyncio.to_thread(lambda: any(find_build_folders(self._parts.root, self._parts.root))):
            return True
        return bool(source.base_oid and await self._parts.included.find(source.base_oid))

    @override
    async def inspect(self, worktree: Path, home: Path, command: str) -> Sequence[Obstacle]:
        return await self._parts.project.inspect(worktree, home, command)

    @override
    async def stamp(self, source: EnvironmentSource = NO_SOURCE) -> str:
        named = await self._parts.included.find(source.base_oid) if source.base_oid else ()
        installed = await self._parts.project.stamp([self._parts.root / name for name in named])
        return "\n".join([installed, *([f"prepared:{source.prepared}"] if source.prepared else [])])

    async def _copy(
        self, worktree: Path, places: Sequence[str], source: EnvironmentSource, *, committed: bool, most_mb: int
    ) -> CopyResult:
        """Copy what the set-up command made, what `.worktreeinclude` names, and build folders into a worktree.

        Returns how many files and bytes were copied, and what was left out, with the reason for each path.

        Args:
            worktree: The worktree.
            places: Folders of it that are left alone.
            source: From what its environment is made.
            committed: Copy only what git ignores in it.
            most_mb: How much may be copied, in MiB.

        Raises:
            Refused: It would be more.
            GitError: git fails.
            OSError: A file cannot be read or written.
        """
        parts = self._parts
        prepared = parts.environments.tree(source.prepared) if source.prepared else None
        named = await parts.included.find(source.base_oid) if source.base_oid else ()
        made = await asyncio.to_thread(self._made, source.prepared)
        if committed:
            named = tuple(await parts.included.ignored_in(worktree, named))
            made = tuple(await parts.included.ignored_in(worktree, made))
        copied = CopyResult()
        copy = partial(TreeCopy, place=worktree, skip=places, result=copied)
        for origin, names in ((prepared, made), (parts.root, named)):
            if origin is not None and names:
                limited = copy(origin, limit_bytes=most_mb * _MIB)
                await asyncio.to_thread(limited.copy, names)
        built = [name for name in await asyncio.to_thread(self._built, worktree, copied) if name not in named]
        if built := await parts.included.ignored_in(worktree, built):
            await asyncio.to_thread(copy(parts.root, limit_bytes=2 * MOST_MB * _MIB).copy, built)
        return copied

    def _built(self, worktree: Path, result: CopyResult) -> list[str]:
        """Return the build folders (`vendor`, `target`) of the checkout to copy; blocking.

        Paths are relative to it and end in a slash. Those of more than 256 MiB are not returned, but noted in `result`
        as left out.
        """
        root, kept = self._parts.root, []
        for name in find_build_folders(worktree, root):
            if is_larger([root / name], MOST_MB * _MIB):
                result.left_out[name] = f"it is larger than {MOST_MB} MiB; .worktreeinclude can name it"
            else:
                kept.append(name)
        return kept

    def _made(self, name: str) -> tuple[str, ...]:
        return next((item.made for item in self._parts.environments.made() if item.name == name), ())
