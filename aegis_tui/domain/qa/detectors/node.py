"""JavaScript: the test script of package.json, by the package manager that the repository uses."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator

from aegis_tui.domain.qa.command import programs_of
from aegis_tui.domain.qa.detectors.base import Read
from aegis_tui.domain.qa.package import PLACEHOLDER, scripts_of

_MANIFEST = "package.json"
_WATCH = re.compile(r"--watch(?:All)?\b(?!=false)|\bwatch\b|\bdev\b")


class NodeDetector:
    """Finds the test script of the root package."""

    name = "node"

    def wants(self, path: str) -> bool:
        """True for `package.json` of the root."""
        return path == _MANIFEST

    def commands(self, files: Collection[str], read: Read) -> Iterator[str]:
        """Yield the run of the root's test script; nothing if it has none or only npm's placeholder.

        A script that watches for changes is replaced by a run of its tool that ends, or left out if the tool is not
        known.
        """
        script = scripts_of(read(_MANIFEST)).get("test") if _MANIFEST in files else None
        if script is None or PLACEHOLDER in script or not script.strip():
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


def _package_manager(files: Collection[str], read: Read) -> str:
    try:
        named = str(json.loads(read(_MANIFEST)).get("packageManager", "")).partition("@")[0]
    except (ValueError, AttributeError, RecursionError):
        named = ""
    locks = {"pnpm-lock.yaml": "pnpm", "yarn.lock": "yarn", "bun.lockb": "bun", "bun.lock": "bun"}
    name = named or next((manager for lock, manager in locks.items() if lock in files), "npm")
    return {"pnpm": "pnpm test", "yarn": "yarn test", "bun": "bun run test"}.get(name, "npm test --silent")
