"""Finds the environment of a project and prepares it in a worktree: the port `QaEnvironment` (FLOW-7).

Reads the person's files as text and starts nothing of the repository. The person's files are shown read-only.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import aegis_tui
from aegis_tui.adapters.environment.active import find_active, package_sites, prefix_of_path, program_folders
from aegis_tui.adapters.environment.astray import find_astray
from aegis_tui.adapters.environment.included import IncludedFiles
from aegis_tui.adapters.environment.node_modules import make_node_modules, package_folders, package_names
from aegis_tui.adapters.environment.stamps import stamp
from aegis_tui.adapters.environment.tree_map import TreeMap
from aegis_tui.adapters.environment.virtualenv import (
    VirtualenvOverlay,
    base_prefixes,
    is_virtualenv,
    led_to,
    outside_folders,
)
from aegis_tui.domain.qa.obstacle import Obstacle
from aegis_tui.ports.surroundings import Surroundings

VIRTUALENV_NAMES = (".venv", "venv", "env", ".env")
"""Names of folders that are searched for a virtual environment, in this order."""

_MANIFESTS = ("package.json", "pyproject.toml", "setup.py", "requirements.txt")
_MANY_LINKS = 2_000


class ProjectEnvironment:
    """The environment of one checkout.

    Args:
        root: The person's checkout.
        common_dir: The git folder of the repository.
        environ: The hub's environment, with VIRTUAL_ENV, CONDA_PREFIX and PATH.
        own_prefix: The Python environment in which this program runs.
    """

    def __init__(
        self, root: Path, common_dir: Path, environ: Mapping[str, str], own_prefix: Path = Path(sys.prefix)
    ) -> None:
        self._root, self._common_dir, self._environ, self._own_prefix = root, common_dir, environ, own_prefix

    async def prepare(
        self,
        worktree: Path,
        home: Path,
        commands: Sequence[str],
        *,
        confined: bool,
        committed: bool = False,
        prepared: Path | None = None,
    ) -> Surroundings:
        """Create the project's environment in a worktree and return what commands need there; blocks only a thread.

        The result has the variables to set, the paths outside that a sandbox must show read-only, the links or the
        obstacles (see `confined`), and the folders that were created, relative to the worktree.

        Args:
            worktree: The tree under test; virtual environments and `node_modules` are created in it, as links.
            home: The HOME of the commands, empty.
            commands: The QA commands, which are searched for paths of the checkout unless `confined`.
            confined: True if a sandbox hides the checkout and shows the `links` of the result. Without one, the result
                has `obstacles` instead.
            committed: Create only folders that git ignores.
            prepared: The folder of an environment that a set-up command made, which comes before the person's.

        Raises:
            GitError: git fails in the worktree.
            OSError: A file or folder cannot be read or created.
        """
        places = await asyncio.to_thread(lambda: list(self._places(worktree, prepared)))
        _, active = self._virtualenvs(places, prepared)
        if committed and places:
            places = await self._ignored(worktree, places)
        tree = TreeMap(self._root, worktree)
        if prepared is not None:
            tree.known.append((prepared, worktree))
        return await asyncio.to_thread(
            self._prepare, tree, home, commands, active, places=places, confined=confined, prepared=prepared
        )

    def places(self) -> tuple[str, ...]:
        """Return the virtual environments and `node_modules` of the checkout that worktrees get; blocking.

        Paths are relative to the checkout; empty if there are none.
        """
        return tuple(str(theirs.relative_to(self._root)) for theirs, _ in self._places(self._root))

    def python_of(self, folder: str) -> Path | None:
        """Return the Python installation that commands in a folder of the project find first; blocking.

        None if there is none.

        Args:
            folder: Relative to the checkout; empty for its top.
        """
        beside = [self._root / folder / name for name in VIRTUALENV_NAMES]
        if nearest := next((path for path in beside if is_virtualenv(path)), None):
            return nearest
        _, active = self._virtualenvs(self._places(self._root))
        return active or prefix_of_path(self._environ.get("PATH", os.defpath), self._root)

    async def reads_tree(self) -> bool:
        """Return whether `prepare` reads more of a worktree than the names in its top folder.

        It does if the checkout has an environment, or if one is active that may lead to the checkout's files.
        """
        places = await asyncio.to_thread(lambda: list(self._places(self._root)))
        _, active = self._virtualenvs(places)
        return bool(places) or active is not None

    async def inspect(self, worktree: Path, home: Path, command: str) -> Sequence[Obstacle]:
        """Return an empty result: `prepare` returns all obstacles before a command runs."""
        return ()

    async def stamp(self, others: Sequence[Path] = ()) -> str:
        """Return a text that changes when a package or a program that the commands use is installed or replaced.

        Args:
            others: Further files whose times count.
        """
        return await asyncio.to_thread(self._stamp, others)

    def _stamp(self, others: Sequence[Path]) -> str:
        places = list(self._places(self._root))
        virtualenvs, active = self._virtualenvs(places)
        search_path = self._environ.get("PATH", os.defpath)
        prefix = active or prefix_of_path(search_path, self._root)
        node_modules = [theirs for theirs, _ in places if theirs.name == "node_modules"]
        modules = self._common_dir / "modules"
        heads = [path for depth in ("*", "*/*", "*/*/*") for path in sorted(modules.glob(f"{depth}/HEAD"))]
        return stamp([*virtualenvs, *([prefix] if prefix else [])], node_modules, search_path, [*heads, *others])

    def _virtualenvs(
        self, places: Iterable[tuple[Path, Path]], prepared: Path | None = None
    ) -> tuple[list[Path], Path | None]:
        """Return the virtual environments among the places, and the environment that commands should find first.

        The latter is None if PATH alone decides. One of `prepared` comes before all others.

        Args:
            places: Pairs, from `_places`.
            prepared: The folder of an environment that a set-up command made.
        """
        environments = [theirs for theirs, _ in places if theirs.name != "node_modules"]
        if prepared is not None and (made := [item for item in environments if item.is_relative_to(prepared)]):
            return environments, find_active(made, prepared, {}, self._own_prefix)
        return environments, find_active(environments, self._root, self._environ, self._own_prefix)

    def _places(self, worktree: Path, prepared: Path | None = None) -> Iterator[tuple[Path, Path]]:
        """Yield each virtual environment and `node_modules`, with its place in a worktree; each place once.

        Those of `prepared` come first, then those of the checkout; a bare repository has none.
        """
        roots = [*([prepared] if prepared else []), *([self._root] if self._root != self._common_dir else [])]
        seen: set[Path] = set()
        folders = dict.fromkeys((worktree, *package_folders(worktree, _MANIFESTS))) if roots else {}
        for root in roots:
            for folder in folders:
                for theirs, place in _environments(root / folder.relative_to(worktree), folder):
                    if place not in seen:
                        seen.add(place)
                        yield theirs, place

    async def _ignored(self, worktree: Path, places: Sequence[tuple[Path, Path]]) -> list[tuple[Path, Path]]:
        """Return those pairs, from `_places`, whose place in the worktree git ignores by the repository's own rules.

        Raises:
            GitError: git fails there.
        """
        names = [f"{place.relative_to(worktree)}/" for _, place in places]
        ignored = set(await IncludedFiles(self._root, self._common_dir).ignored_in(worktree, names))
        return [pair for pair, name in zip(places, names, strict=True) if name in ignored]

    def _prepare(
        self,
        tree: TreeMap,
        home: Path,
        commands: Sequence[str],
        active: Path | None,
        *,
        places: Sequence[tuple[Path, Path]],
        confined: bool,
        prepared: Path | None,
    ) -> Surroundings:
        worktree = tree.worktree
        virtualenvs = {theirs: place for theirs, place in places if theirs.name != "node_modules"}
        if active is not None and active not in virtualenvs and is_virtualenv(active):
            virtualenvs[active] = home / "venv"
        overlays = [VirtualenvOverlay(theirs, place, tree) for theirs, place in virtualenvs.items()]
        sites = self._sites(active) if active not in virtualenvs else []
        targets = [path for overlay in overlays if overlay.venv == active for path in overlay.import_targets()]
        roots = tree.import_roots([*targets, *_targets(sites, tree)])
        packages = tree.packages(roots)
        read_only: list[Path] = [Path(aegis_tui.__file__).parent]
        for overlay in overlays:
            overlay.make(worktree if overlay.place.is_relative_to(worktree) else home, packages)
        for prefix in dict.fromkeys([*virtualenvs, *([active] if active else [])]):
            read_only.append(prefix)
            if prepared is None or not prefix.is_relative_to(prepared):
                read_only += _led_to_by(prefix, tree)
        read_only += _node_modules(places, tree)
        return Surroundings(
            environment=self._variables(active, virtualenvs, roots, worktree),
            read_only=tuple(dict.fromkeys(read_only)),
            links=tuple(self._links(worktree, read_only)) if confined else (),
            obstacles=() if confined else tuple(find_astray(commands, tree, sites, set(packages))),
            places=tuple(str(place.relative_to(worktree)) for _, place in places if place.is_dir()),
        )

    def _sites(self, active: Path | None) -> list[Path]:
        """Return the package folders of the environment that commands find first, or else of the `python` in PATH.

        Empty if there are none.
        """
        prefix = active or prefix_of_path(self._environ.get("PATH", os.defpath), self._root)
        return [] if prefix is None else package_sites(prefix)

    def _variables(
        self, active: Path | None, virtualenvs: Mapping[Path, Path], roots: Sequence[Path], worktree: Path
    ) -> dict[str, str]:
        variables: dict[str, str] = {}
        search_path = self._environ.get("PATH", os.defpath)
        if active is not None:
            place = virtualenvs.get(active, active)
            name = "VIRTUAL_ENV" if active in virtualenvs else "CONDA_PREFIX"
            variables |= {name: str(place), "PATH": f"{place / 'bin'}{os.pathsep}{search_path}", "UV_NO_SYNC": "1"}
            if place.is_relative_to(worktree):
                variables["UV_PROJECT_ENVIRONMENT"] = str(place)
        if roots:
            variables["PYTHONPATH"] = os.pathsep.join(str(root) for root in roots)
        if (worktree / "node_modules").is_dir():
            variables["NODE_PATH"] = str(worktree / "node_modules")
        return variables

    def _links(self, worktree: Path, shown: Sequence[Path]) -> Iterator[tuple[Path, Path]]:
        """Yield links (target, place) that show the worktree's files at the paths of the checkout.

        A folder that contains a mount is entered, and gets a link for each entry; 2,000 folders at most. Nothing for a
        bare repository.

        Args:
            worktree: The worktree.
            shown: What the sandbox mounts besides; nothing is linked in its place.

        Raises:
            OSError: A folder of the worktree cannot be read.
        """
        if self._root == self._common_dir:
            return
        mounts = {self._common_dir, self._root / ".git", *shown}
        holding = {parent for mount in mounts for parent in mount.parents}
        folders = [Path()]
        for _, folder in zip(range(_MANY_LINKS), folders, strict=False):
            for entry in sorted(os.scandir(worktree / folder), key=lambda entry: entry.name):
                place = self._root / folder / entry.name
                if place in holding and entry.is_dir(follow_symlinks=False):
                    folders.append(folder / entry.name)
                elif place not in mounts and place not in holding:
                    yield worktree / folder / entry.name, place


def _environments(theirs: Path, folder: Path) -> Iterator[tuple[Path, Path]]:
    for name in VIRTUALENV_NAMES:
        if is_virtualenv(theirs / name):
            yield theirs / name, folder / name
    if (theirs / "node_modules").is_dir():
        yield theirs / "node_modules", folder / "node_modules"


def _led_to_by(prefix: Path, tree: TreeMap) -> list[Path]:
    """Return the folders outside of an environment of the person's that a sandbox must show for it.

    Do not call it for one that a set-up command made: its files could name any folder of the person's.

    Raises:
        OSError: A package folder cannot be read.
    """
    bases = program_folders(base_prefixes(prefix)) if is_virtualenv(prefix) else []
    return [*bases, *outside_folders(prefix, tree)]


def _targets(sites: Sequence[Path], tree: TreeMap) -> list[Path]:
    translated = [tree.translate(str(led)) for site in sites for led in led_to(site)]
    return [Path(text) for text in translated if text is not None and Path(text).is_dir()]


def _node_modules(places: Sequence[tuple[Path, Path]], tree: TreeMap) -> list[Path]:
    """Create every `node_modules` among the pairs (theirs, place); return the paths that a sandbox must show.

    Raises:
        OSError: A folder of the person's cannot be read, or a link cannot be created.
    """
    pairs = [pair for pair in places if pair[0].name == "node_modules"]
    own = package_names(tree.worktree) if pairs else {}
    return [path for theirs, place in pairs for path in (theirs, *make_node_modules(theirs, place, tree, own))]
