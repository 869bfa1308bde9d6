"""A virtual environment in a worktree: links to the person's own, with paths of the checkout translated.

The person's environment is read as text and never started. What is translated: folders in `.pth` and `.egg-link` files,
tables of import finders, first lines of scripts, links, and copies of packages that the worktree itself contains.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from aegis_tui.adapters.environment.folder import Overlay
from aegis_tui.adapters.environment.tree_map import TreeMap
from aegis_tui.domain.qa.editable import pth_folders, quoted_paths, replace_folder, translate_pth, translate_quoted

_MAX_TEXT_BYTES = 1024 * 1024
_HOOK = re.compile(r"_*editable|.*_editable(_loader|_finder)?\.py$|.*_finder\.py$")


def is_virtualenv(folder: Path) -> bool:
    """Return whether a folder is a virtual environment: it exists, with `pyvenv.cfg` and `bin/python` in it."""
    return (folder / "pyvenv.cfg").is_file() and (folder / "bin" / "python").exists()


def site_packages(venv: Path) -> list[Path]:
    """Return the existing package folders (`site-packages`) of a virtual environment; empty if there are none."""
    return [path for path in sorted((venv / "lib").glob("python*/site-packages")) if path.is_dir()]


def hook_files(site: Path) -> list[Path]:
    """Return the files of at most 1 MiB in a package folder that make Python import from elsewhere, sorted.

    These are `.pth` and `.egg-link` files, and modules that editable installs use as import finders.

    Raises:
        OSError: The folder cannot be read.
    """
    return [path for path in sorted(site.iterdir()) if _is_hook(path)]


def _is_hook(path: Path) -> bool:
    name = path.name
    return (name.endswith((".pth", ".egg-link")) or (name.endswith(".py") and bool(_HOOK.match(name)))) and (
        path.is_file() and path.stat().st_size <= _MAX_TEXT_BYTES
    )


def led_to(site: Path) -> list[Path]:
    """Return the absolute paths that are named in the `.pth` files, `.egg-link` files and import finders of a folder.

    An editable install writes such files into `site-packages`. A path is returned once, and may not exist. A file that
    cannot be read counts as empty.

    Args:
        site: The folder of packages.

    Raises:
        OSError: The folder cannot be read.
    """
    targets: list[Path] = []
    for path in hook_files(site):
        text = _read(path)
        if not path.name.endswith(".py"):
            targets += [Path(os.path.normpath(site / folder)) for folder in pth_folders(text)]
        targets += [Path(quoted) for quoted in quoted_paths(text)]
    return list(dict.fromkeys(targets))


def base_prefixes(venv: Path) -> list[Path]:
    """Return the folders of the Python installations that a virtual environment is based on; they may not exist."""
    named = re.search(r"^home\s*=\s*(/.*?)\s*$", _read(venv / "pyvenv.cfg"), re.MULTILINE)
    places = [Path(named[1]).parent] if named else []
    real = Path(os.path.realpath(venv / "bin" / "python"))
    return list(dict.fromkeys([*places, *(Path(os.path.realpath(place)) for place in places), real.parent.parent]))


def outside_folders(prefix: Path, tree: TreeMap) -> list[Path]:
    """Return the existing folders of other projects' sources that a virtual environment leads to; may be empty.

    Left out are folders in the environment or in a checkout of this repository, and those that contain the home folder.

    Args:
        prefix: The environment.
        tree: Knows the checkouts of this repository.

    Raises:
        OSError: A package folder cannot be read.
    """
    led = [path for site in site_packages(prefix) for path in led_to(site) if path.is_dir()]
    home = Path.home()
    return [
        path
        for path in led
        if tree.translate(str(path)) is None and not home.is_relative_to(path) and not path.is_relative_to(prefix)
    ]


class VirtualenvOverlay:
    """Creates the overlay of one virtual environment.

    Args:
        venv: The person's virtual environment.
        place: The folder to create.
        tree: Translates paths of the checkout to the worktree; the environment's own place is added to it.
    """

    def __init__(self, venv: Path, place: Path, tree: TreeMap) -> None:
        self.venv, self.place, self._tree = venv, place, tree
        tree.known.append((venv, place))

    def import_targets(self) -> list[Path]:
        """Return the folders of the worktree that stand for those of the checkout that this environment imports from.

        They are in the environment's order, each once, and may not exist; empty if it imports nothing from a checkout.

        Raises:
            OSError: A package folder cannot be read.
        """
        targets = []
        for site in site_packages(self.venv):
            for led in led_to(site):
                translated = self._tree.translate(str(led))
                if translated is None:
                    continue
                path = Path(translated)
                targets.append(path if path.suffix != ".py" and not (path / "__init__.py").is_file() else path.parent)
        return [path for path in dict.fromkeys(targets) if not path.is_relative_to(self.place)]

    def make(self, base: Path, packages: dict[str, Path]) -> None:
        """Create a folder of links and changed files that stands for the environment.

        Does nothing if the folder exists already, or a folder on the way to it is missing or a link.

        Args:
            base: A folder above the place that no agent can replace.
            packages: Import name (`my_package`) -> the package's folder or the module's file, for what the worktree
                itself provides; it replaces an installed copy.

        Raises:
            OSError: The environment cannot be read, or a file cannot be created.
        """
        try:
            overlay = Overlay(base, self.place)
        except OSError:  # the commit contains this folder, or it was created before
            return
        sites = {site.relative_to(self.venv) for site in site_packages(self.venv)}
        above = {parent for site in sites for parent in site.parents if parent != Path()}
        self._fill(overlay, Path(), skip={Path("bin"), *above})
        for folder in sorted(above, key=lambda path: len(path.parts)):
            overlay.folder(str(folder))
            self._fill(overlay, folder, skip={*above, *sites})
        for site in sorted(sites):
            self._site(overlay, site, packages)
        self._programs(overlay)

    def _fill(self, overlay: Overlay, folder: Path, *, skip: set[Path]) -> None:
        for entry in _sorted(self.venv / folder):
            relative = folder / entry.name
            if relative in skip:
                continue
            if relative == Path("pyvenv.cfg"):
                overlay.file("pyvenv.cfg", _read(Path(entry.path)))
            else:
                overlay.link(str(relative), self._same_link(Path(entry.path)))

    def _same_link(self, path: Path) -> str:
        """Return the target for a link in the overlay that stands for `path`, an entry of the environment.

        That is the entry itself, or, if it is a link, its target: unchanged if it is relative and leads into the
        environment, and else absolute, with a path of the checkout translated to the worktree.
        """
        if not path.is_symlink():
            return str(path)
        target = str(path.readlink())
        if not target.startswith("/"):
            inside = Path(os.path.normpath(path.parent / target))
            if inside.is_relative_to(self.venv):
                return target
            target = str(inside)
        return self._tree.translate(target) or target

    def _site(self, overlay: Overlay, site: Path, packages: dict[str, Path]) -> None:
        overlay.folder(str(site))
        hooks = set(hook_files(self.venv / site))
        for entry in _sorted(self.venv / site):
            path, name = Path(entry.path), str(site / entry.name)
            own = packages.get(entry.name.removesuffix(".py"))
            if entry.name == "__pycache__":
                continue
            if path in hooks:
                change = translate_quoted if entry.name.endswith(".py") else translate_pth
                overlay.file(name, change(_read(path), self._tree.translate))
            else:
                overlay.link(name, str(own) if own is not None else self._same_link(path))

    def _programs(self, overlay: Overlay) -> None:
        overlay.folder("bin")
        for entry in _sorted(self.venv / "bin"):
            path, name = Path(entry.path), f"bin/{entry.name}"
            text = "" if path.is_symlink() or not path.is_file() else _script(path)
            if text:
                for old, new in (
                    *self._tree.known,
                    *_recorded(self.venv, self.place),
                    (self._tree.root, self._tree.worktree),
                ):
                    text = replace_folder(text, str(old), str(new))
                overlay.file(name, text, executable=os.access(path, os.X_OK))
            else:
                overlay.link(name, self._same_link(path))


def _recorded(venv: Path, place: Path) -> Iterator[tuple[Path, Path]]:
    """Yield the place where a virtual environment was created, if it was moved or copied since, with the new place."""
    match = re.search(r"^VIRTUAL_ENV=['\"]?(/[^'\"\n]+)", _read(venv / "bin" / "activate"), re.MULTILINE)
    if match and Path(match[1]) != venv:
        yield Path(match[1]), place


def _script(path: Path) -> str:
    """Return the text of a script; empty for a binary program, for more than 1 MiB, or if it cannot be read.

    Raises:
        OSError: There is no such file any more.
    """
    if path.stat().st_size > _MAX_TEXT_BYTES:
        return ""
    text = _read(path)
    return text if "\0" not in text[:1024] else ""


def _sorted(folder: Path) -> Iterable[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return sorted(entries, key=lambda entry: entry.name)


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8", "surrogateescape")
    except OSError:
        return ""
