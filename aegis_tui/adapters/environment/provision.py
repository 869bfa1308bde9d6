"""Gives a worktree its whole environment (GIT-1): the linked one, copies of named files, and ports of its own.

The parts come from three places: what the set-up command made, the person's checkout, and `.worktreeinclude`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from typing_extensions import override

from aegis_tui.adapters.environment.copying import CopyResult, TreeCopy
from aegis_tui.adapters.environment.included import IncludedFiles
from aegis_tui.adapters.environment.ports import PortClaims
from aegis_tui.adapters.environment.project import ProjectEnvironment
from aegis_tui.config import EnvironmentSettings
from aegis_tui.domain.qa.obstacle import Obstacle
from aegis_tui.ports.surroundings import NO_SOURCE, EnvironmentSource, QaEnvironment, Surroundings
from aegis_tui.sdk.environments import EnvironmentFolder

_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class EnvironmentParts:
    """The parts of which the environment of a worktree is made."""

    root: Path
    """The person's checkout."""
    project: ProjectEnvironment
    included: IncludedFiles
    environments: EnvironmentFolder
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
        settings = await asyncio.to_thread(parts.find_settings)
        named = await parts.included.find(source.base_oid) if source.base_oid else ()
        made = await asyncio.to_thread(self._made, source.prepared)
        if committed:
            named = tuple(await parts.included.ignored_in(worktree, named))
            made = tuple(await parts.included.ignored_in(worktree, made))
        limit_bytes, copied = settings.copy_mb * _MIB, CopyResult()
        for origin, names in ((prepared, made), (parts.root, named)):
            if origin is not None and names:
                copy = TreeCopy(origin, worktree, skip=around.places, limit_bytes=limit_bytes, result=copied)
                await asyncio.to_thread(copy.copy, names)
        claims = PortClaims(parts.ports_dir, settings.ports)
        ports = await asyncio.to_thread(claims.claim, worktree)
        return replace(
            around,
            environment={**around.environment, **ports},
            copied=copied.files,
            left_out=dict(copied.left_out),
        )

    @override
    async def reads_tree(self, source: EnvironmentSource = NO_SOURCE) -> bool:
        if source.prepared or await self._parts.project.reads_tree():
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

    def _made(self, name: str) -> tuple[str, ...]:
        return next((item.made for item in self._parts.environments.made() if item.name == name), ())
