"""Tells what the person's checkout provides for worktrees: the port `EnvironmentSurvey` (GIT-1, FLOW-7).

Reads names and text only, and starts nothing of the repository.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable
from pathlib import Path

from typing_extensions import override

from aegis_tui.adapters.environment.active import package_sites
from aegis_tui.adapters.environment.copying import is_larger, too_large
from aegis_tui.adapters.environment.included import IncludedFiles
from aegis_tui.adapters.environment.project import ProjectEnvironment
from aegis_tui.adapters.environment.virtualenv import base_prefixes, is_virtualenv
from aegis_tui.config import EnvironmentSettings
from aegis_tui.domain.environment.needs import PackageNeed, missing_words, normal_name
from aegis_tui.ports.prepared_environment import EnvironmentSurvey

_MIB = 1024 * 1024
_METADATA = re.compile(r"(.+?)(?:-[^-]*)?(?:-py[\d.]+)?\.(?:dist|egg)-info$")


class CheckoutSurvey(EnvironmentSurvey):
    """The survey of one checkout.

    Args:
        root: The person's checkout.
        project: Finds its environments.
        included: Finds what `.worktreeinclude` names.
        find_settings: Returns the present settings; reads files.
    """

    def __init__(
        self,
        root: Path,
        project: ProjectEnvironment,
        included: IncludedFiles,
        find_settings: Callable[[], EnvironmentSettings],
    ) -> None:
        self._root, self._project, self._included, self._find_settings = root, project, included, find_settings

    @override
    async def included(self, base_oid: str) -> tuple[str, ...]:
        names = await self._included.find(base_oid)
        if names:
            limit_bytes = (await asyncio.to_thread(self._find_settings)).copy_mb * _MIB
            if await asyncio.to_thread(is_larger, [self._root / name for name in names], limit_bytes):
                raise too_large(limit_bytes)
        return names

    @override
    def places(self) -> tuple[str, ...]:
        return self._project.places()

    @override
    def missing(self, need: PackageNeed) -> str:
        return self._missing_packages(need) if need.kind == "node" else self._missing_modules(need)

    def _missing_packages(self, need: PackageNeed) -> str:
        top = self._root / need.folder
        places = [
            folder / "node_modules"
            for folder in (top, *top.parents)
            if folder.is_relative_to(self._root) and (folder / "node_modules").is_dir()
        ]
        if (top / ".pnp.cjs").is_file() or (self._root / ".pnp.cjs").is_file():
            return ""
        absent = [name for name in need.names if not any((place / name).exists() for place in places)]
        where = str(places[0].relative_to(self._root)) if places else ""
        return missing_words(need, absent, where=where) if absent else ""

    def _missing_modules(self, need: PackageNeed) -> str:
        prefix = self._project.python_of(need.folder)
        if prefix is None:
            return missing_words(need, need.names, where="")
        prefixes = [prefix]
        if is_virtualenv(prefix) and _sees_system(prefix):
            prefixes += base_prefixes(prefix)
        installed = {name for place in prefixes for site in package_sites(place) for name in _installed(site)}
        absent = [name for name in need.names if name not in installed]
        is_own = prefix.is_relative_to(self._root)
        where = str(prefix.relative_to(self._root)) if is_own else f"the Python in {prefix}"
        return missing_words(need, absent, where=where) if absent else ""


def _installed(site: Path) -> Iterable[str]:
    """Yield the names of the packages whose metadata a package folder contains, in the normal form of PEP 503.

    Nothing if the folder cannot be read.
    """
    try:
        names = [entry.name for entry in site.iterdir()]
    except OSError:
        return
    for name in names:
        if match := _METADATA.match(name):
            yield normal_name(match[1])
        elif name.endswith(".egg-link"):
            yield normal_name(name.removesuffix(".egg-link"))


def _sees_system(venv: Path) -> bool:
    try:
        text = (venv / "pyvenv.cfg").read_text("utf-8", "replace")
    except OSError:
        return False
    return bool(re.search(r"^include-system-site-packages\s*=\s*true\s*$", text, re.MULTILINE | re.IGNORECASE))
