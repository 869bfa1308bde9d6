"""Finds what would make a check use another checkout when no sandbox hides it: such a check does not count (FLOW-7)."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from aegis_tui.adapters.environment.folder import read_regular
from aegis_tui.adapters.environment.tree_map import TreeMap
from aegis_tui.adapters.environment.virtualenv import hook_files, led_to
from aegis_tui.domain.qa.obstacle import Obstacle

_OWN_PATH = re.compile(r"\bPYTHONPATH=|\benv\s+-|\bpython[\d.]*\s+(?:-\w+\s+)*-\w*[IE]|\bunset\s")
_BUILD_FILES = (
    *("Makefile", "makefile", "GNUmakefile", "justfile", "package.json", "tox.ini", "noxfile.py", "pytest.ini"),
    *("pyproject.toml", "setup.cfg", "conftest.py", "tests/conftest.py", ".env"),
)
_MANY = 20_000


def find_astray(
    commands: Sequence[str], tree: TreeMap, sites: Sequence[Path], packages: Collection[str]
) -> Iterator[Obstacle]:
    """Yield an obstacle (kind `wrong_tree`) for everything that leads to a checkout that is not under test.

    That can be a command, a build file, a link (in a large tree only the first 20,000 entries are searched), or what is
    installed from another checkout.

    Args:
        commands: The QA commands.
        tree: The person's checkout and the worktree. Environments that were created in the worktree are known to it:
            the places that they stand for are no obstacles.
        sites: Package folders that the commands use directly, without an environment in the worktree.
        packages: The names that the worktree itself provides for import.

    Raises:
        OSError: A package folder cannot be read.
    """
    allowed = tuple(str(old) for old, _ in tree.known)
    for command in commands:
        if place := _named_place(command, tree.root, allowed):
            yield _wrong(f"the command names {place}, which is your checkout and not the tree under test", command)
    for name in _BUILD_FILES:
        if place := _named_place(read_regular(tree.worktree / name), tree.root, allowed):
            yield _wrong(f"{name} names {place}, which is your checkout and not the tree under test")
    for link, target in _links_out(tree):
        yield _wrong(f"the link {link} leads to {target}, which is not the tree under test", remedy="make it relative")
    yield from _installs(commands, tree, sites, packages)


def _named_place(text: str, root: Path, allowed: tuple[str, ...]) -> str:
    for match in re.finditer(rf"{re.escape(str(root))}(?![\w.-])[^\s'\":;]*", text):
        if not any(match[0] == place or match[0].startswith(f"{place}/") for place in allowed):
            return match[0]
    return ""


def _links_out(tree: TreeMap) -> Iterator[tuple[str, str]]:
    seen = 0
    for folder, names, files in os.walk(tree.worktree):
        names[:] = [
            name for name in names if name not in (".git", "node_modules", *(new.name for _, new in tree.known))
        ]
        seen += len(names) + len(files)
        for path in (Path(folder, name) for name in (*names, *files)):
            if path.is_symlink() and str(path.readlink()).startswith(f"{tree.root}/"):
                yield str(path.relative_to(tree.worktree)), str(path.readlink())
        if seen > _MANY:
            return


def _installs(
    commands: Sequence[str], tree: TreeMap, sites: Sequence[Path], packages: Collection[str]
) -> Iterator[Obstacle]:
    """Yield obstacles for what is installed from another checkout and would be imported in spite of PYTHONPATH.

    That is so if an import loader runs first, or if a command sets its own path. The arguments are those of
    `find_astray`.

    Raises:
        OSError: A file of the installed packages cannot be read.
    """
    leading = [(site, led) for site in sites for led in led_to(site) if tree.translate(str(led)) is not None]
    loaders = [path for site in sites for path in hook_files(site) if path.name.endswith("_loader.py")]
    copies = [site / name for site in sites for name in sorted(packages) if (site / name).is_dir()]
    places = [f"{led}, to which {site} leads," for site, led in leading] + [str(copy) for copy in copies]
    if not places:
        return
    if loaders and leading:
        yield _wrong(f"{loaders[0]} redirects every import to {leading[0][1]}, which is not the tree under test")
    for command in commands:
        if _OWN_PATH.search(command):
            yield _wrong(
                f"the command sets Python's path itself and would import {places[0]} and not the tree under test",
                command,
            )


def _wrong(reason: str, command: str | None = None, remedy: str = "") -> Obstacle:
    help_ = (
        remedy
        or "use paths relative to the top of the repository and a virtual environment in .venv, or --sandbox auto"
    )
    return Obstacle(kind="wrong_tree", reason=reason, remedy=help_, command=command)
