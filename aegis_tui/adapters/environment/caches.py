"""What Rust, Go and pre-commit keep in the person's home, for worktrees whose commands have another HOME (FLOW-7).

They are shown read-only. Nothing else of those folders is, such as the file with a registry's token.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from aegis_tui.adapters.environment.node_modules import package_folders
from aegis_tui.adapters.environment.pre_commit import show_environments

_REGISTRY = ("registry", "git")


@dataclass
class PackageCaches:
    """What commands need to find the packages."""

    environment: dict[str, str] = field(default_factory=dict)
    read_only: list[Path] = field(default_factory=list)


class CacheFinder:
    """Finds the packages of one person.

    Args:
        environ: The person's environment, with HOME, CARGO_HOME, RUSTUP_HOME, GOPATH and GOMODCACHE.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._home = Path(environ.get("HOME") or Path.home())

    def prepare(self, root: Path, home: Path, made_home: Path | None = None) -> PackageCaches:
        """Return the variables and read-only folders by which commands find downloaded packages of Go and Rust.

        The folders are also those of hooks that pre-commit has installed (`show_environments`).

        The variables are GOMODCACHE, RUSTUP_HOME and CARGO_HOME, as far as there is something that they can name. For
        Rust, a folder `.cargo` with links to the packages is created in the HOME of the commands. Blocking.

        Args:
            root: The person's checkout; if nothing in it is configured for one of these tools, the result is empty.
            home: The HOME of the commands, which exists.
            made_home: The HOME of the set-up command that made the environment, whose packages come first.

        Raises:
            OSError: The folder or a link cannot be created.
        """
        caches = PackageCaches()
        folders = list(package_folders(root, ("go.mod", "Cargo.toml")))
        if any((folder / "go.mod").is_file() for folder in folders):
            self._go(caches, made_home)
        if any((folder / "Cargo.toml").is_file() for folder in folders):
            self._rust(caches, home, made_home)
        caches.read_only += show_environments(root, home, self._environ)
        return caches

    def _go(self, caches: PackageCaches, made_home: Path | None) -> None:
        places = [made_home / "go" / "pkg" / "mod"] if made_home else []
        if given := self._environ.get("GOMODCACHE"):
            places.append(Path(given))
        paths = self._environ.get("GOPATH", "").split(os.pathsep)
        places += [Path(path) / "pkg" / "mod" for path in (*filter(None, paths), str(self._home / "go"))]
        if place := next((path for path in places if path.is_absolute() and path.is_dir()), None):
            caches.environment["GOMODCACHE"] = str(place)
            caches.read_only.append(place)

    def _rust(self, caches: PackageCaches, home: Path, made_home: Path | None) -> None:
        rustup = Path(self._environ.get("RUSTUP_HOME") or self._home / ".rustup")
        if (rustup / "toolchains").is_dir():
            caches.environment["RUSTUP_HOME"] = str(rustup)
            caches.read_only += [path for path in _toolchains(rustup) if path.exists()]
        theirs = Path(self._environ.get("CARGO_HOME") or self._home / ".cargo")
        sources = [*([made_home / ".cargo"] if made_home else []), theirs]
        own = home / ".cargo"
        own.mkdir(exist_ok=True)
        if own.is_symlink():
            return
        caches.environment["CARGO_HOME"] = str(own)
        for name in _REGISTRY:
            if source := next((path / name for path in sources if (path / name).is_dir()), None):
                caches.read_only.append(source)
                with contextlib.suppress(FileExistsError):
                    (own / name).symlink_to(source)


def _toolchains(rustup: Path) -> Iterator[Path]:
    yield rustup / "toolchains"
    yield rustup / "settings.toml"
