"""Finds the folders outside the system that programs need to run: once, when a sandbox is created.

Only folders of programs and libraries are returned, never a home folder, its configuration or its `share`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path

SYSTEM_PATHS = tuple(Path(name) for name in ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"))
"""Programs and libraries of the operating system; they contain no secrets."""

_PREFIX_PARTS = ("bin", "sbin", "lib", "lib64", "libexec", "share", "include", "pyvenv.cfg", "Cellar", "opt")


class _Collector:
    """Collects folders; a folder inside one of them is not added."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.paths: list[Path] = []

    def covers(self, path: Path) -> bool:
        return any(path.is_relative_to(known) for known in (*SYSTEM_PATHS, *self.paths))

    def add(self, path: Path) -> None:
        if path.exists() and not self.covers(path):
            self.paths.append(path)

    def add_prefix(self, folder: Path) -> None:
        """Add a folder of programs, and the folders of libraries beside it, such as `lib` and `share`.

        Of `~/.local` only `bin` and `lib` are added; of the home folder, the root folder, and a folder without `lib`,
        only the folder of programs. What does not exist, or lies in a system path or an added folder, is ignored.
        """
        prefix = folder.parent
        if prefix == self.home / ".local":
            parts: tuple[str, ...] = ("bin", "lib")
        elif prefix in (Path("/"), self.home) or not (prefix / "lib").is_dir():
            parts = (folder.name,)
        else:
            parts = _PREFIX_PARTS
        for part in parts:
            self.add(prefix / part)

    def add_entry(self, entry: Path) -> None:
        """Add one entry of PATH, and the folders that its programs need to start.

        These are for a `bin` those that `add_prefix` adds, for Nix its store, for the shims of a version manager the
        folder around them, for `node_modules/.bin` that `node_modules`, and for cargo the toolchains of rustup.
        A missing folder, the home and the root folder, and what is added already are ignored.
        """
        if not entry.is_dir() or entry in (Path("/"), self.home) or self.covers(entry):
            return
        if entry.is_relative_to("/nix/store") or _real(entry).is_relative_to("/nix/store"):
            self.add(Path("/nix/store"))
        elif entry.name == "shims" and any((entry.parent / part).is_dir() for part in ("versions", "installs")):
            self.add(entry.parent)
        elif entry.name in ("bin", "sbin"):
            self.add_prefix(entry)
        elif entry.name == ".bin" and entry.parent.name == "node_modules":
            self.add(entry.parent)
        self.add(entry)
        if entry == self.home / ".cargo" / "bin":
            self.add(self.home / ".rustup" / "toolchains")
            self.add(self.home / ".rustup" / "settings.toml")

    def follow_links(self, entry: Path) -> None:
        """Add what the links in a folder of programs lead to, as uv, pipx and version managers set them.

        For a file in a `bin` that is its prefix (see `add_prefix`), for one below `node_modules` that folder. Nothing
        if the folder of programs cannot be read.
        """
        try:
            links = [_real(item) for item in entry.iterdir() if item.is_symlink()]
        except OSError:
            return
        for target in links:
            if self.covers(target) or not target.is_file():
                continue
            if "node_modules" in target.parts:
                self.add(Path(*target.parts[: target.parts.index("node_modules") + 1]))
            elif target.parent.name == "bin":
                self.add_prefix(target.parent)
            self.add(target)


def find_toolchain_paths(search_path: str, home: Path, *, package: Path) -> tuple[Path, ...]:
    """Return the folders and files to show read-only so that programs on PATH, this Python and this package run.

    Args:
        search_path: A PATH value; relative and empty entries are ignored.
        home: The person's home folder; never returned itself.
        package: The folder of the `aegis_tui` package.

    Returns:
        Existing paths, none below another or below `SYSTEM_PATHS`, sorted.
    """
    collector = _Collector(home)
    entries = [Path(text) for text in search_path.split(":") if text.startswith("/")]
    for prefix in _python_prefixes():
        collector.add_prefix(prefix / "bin")
    for entry in entries:
        collector.add_entry(entry)
    for entry in entries:
        if not any(entry.is_relative_to(path) for path in SYSTEM_PATHS):
            collector.follow_links(entry)
    for part in (package, package.parent / "layouts", package.parent / "themes"):
        collector.add(part)
    return tuple(sorted(_without_nested(collector.paths)))


def _python_prefixes() -> tuple[Path, ...]:
    real = Path(sys.executable).resolve().parent.parent
    return tuple(dict.fromkeys((Path(sys.prefix), Path(sys.base_prefix), real)))


def _real(path: Path) -> Path:
    """Return the real path; for a circle of links the path itself, where `Path.resolve` raises."""
    return Path(os.path.realpath(path))


def _without_nested(paths: Iterable[Path]) -> list[Path]:
    kept: list[Path] = []
    for path in sorted(paths, key=lambda item: len(item.parts)):
        if not any(path.is_relative_to(known) for known in kept):
            kept.append(path)
    return kept
