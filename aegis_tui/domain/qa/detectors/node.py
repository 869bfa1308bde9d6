"""JavaScript: the test script of package.json, by the package manager that the repository uses."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator

from aegis_tui.domain.qa.command import programs_of
from aegis_tui.domain.qa.detectors.base import Read, folders_of, is_aside
from aegis_tui.domain.qa.package import PLACEHOLDER, scripts_of

_MANIFEST = "package.json"
_WATCH = re.compile(r"--watch(?:All)?\b(?!=false)|\bwatch\b|\bdev\b")


class NodeDetector:
    """Finds the test script of the root package, or where it has none those of the packages below it."""

    name = "node"

    def wants(self, path: str) -> bool:
        """True for `package.json` of the root and of folders up to two levels below it."""
        return path == _MANIFEST or (path.endswith(f"/{_MANIFEST}") and path.count("/") <= 2 and not is_aside(path))

    def commands(self, files: Collection[str], read: Read) -> Iterator[str]:
        """Yield the run of the root's test script, by its package manager.

        Else of those of the packages below the root.

        The latter if the root has no script or only npm's placeholder. A script of the root that watches for changes is
        replaced by a run of its tool that ends, or left out if the tool is not known.
        """
        script = scripts_of(read(_MANIFEST)).get("test") if _MANIFEST in files else None
        if script is None or PLACEHOLDER in script or not script.strip():
            yield from self._below(files, read)
            return
        manager = _package_manager(files, read)
        programs = [words for words in programs_of(script) if words]
        if not _WATCH.search(script):
            if programs and programs[-1] == ("vitest",):
                # `vitest` alone watches for changes where it is not told otherwise.
                yield f"{manager}{' --' if manager.startswith('npm') else ''} --run"
            else:
                yield manager
        elif len(programs) == 1 and programs[0][0] in ("vitest", "jest"):
            yield "npx --no-install vitest run" if programs[0][0] == "vitest" else "npx --no-install jest"

    def _below(self, files: Collection[str], read: Read) -> Iterator[str]:
        """Yield the run of the test script of each package below the root, at most four (see `folders_of`).

        A package is left out if it has no script or npm's placeholder, or the script watches for changes.
        """
        for folder in folders_of(files, _MANIFEST):
            script = scripts_of(read(f"{folder}{_MANIFEST}")).get("test", "")
            programs = [words for words in programs_of(script) if words]
            is_plain = bool(programs) and not _WATCH.search(script) and programs[-1] != ("vitest",)
            if folder and is_plain and PLACEHOLDER not in script:
                yield _package_manager(files, read, folder, inside=folder.rstrip("/"))


def _package_manager(files: Collection[str], read: Read, folder: str = "", *, inside: str = "") -> str:
    """Return the command that runs the test script of a package: by pnpm, yarn or bun, or else npm.

    `packageManager` of the root's package.json says which, or else the lock file in the folder or the root.

    Args:
        files: All tracked paths.
        read: Returns the text of a file.
        folder: The folder of the package, with a slash at its end; empty for the root.
        inside: The same without the slash, to run the script from the root; empty for the root.
    """
    try:
        named = str(json.loads(read(_MANIFEST)).get("packageManager", "")).partition("@")[0]
    except (ValueError, AttributeError, RecursionError):
        named = ""
    locks = {"pnpm-lock.yaml": "pnpm", "yarn.lock": "yarn", "bun.lockb": "bun", "bun.lock": "bun"}
    places = (folder, "") if folder else ("",)
    locked = (manager for place in places for lock, manager in locks.items() if f"{place}{lock}" in files)
    name = named or next(locked, "npm")
    if inside:
        words = {"pnpm": f"pnpm -C {inside} test", "yarn": f"yarn --cwd {inside} test"}
        return (words | {"bun": f"bun run --cwd {inside} test"}).get(name, f"npm --prefix {inside} test --silent")
    return {"pnpm": "pnpm test", "yarn": "yarn test", "bun": "bun run test"}.get(name, "npm test --silent")
