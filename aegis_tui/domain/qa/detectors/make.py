"""Make: the target `test`, or else `check`, of the root's Makefile."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from aegis_tui.domain.qa.detectors.base import Read

_NAMES = ("GNUmakefile", "Makefile", "makefile")
_TARGET = re.compile(r"^(test|check)(?:\s+\w+)*\s*::?(?!=)[^\n]*(?:\n\t.*\S)?", re.M)


class MakeDetector:
    """Finds the test target of the root's Makefile. It is asked only where no other detector knows the tests."""

    name = "make"

    def wants(self, path: str) -> bool:
        """True for the Makefile of the root."""
        return path in _NAMES

    def commands(self, files: Collection[str], read: Read) -> Iterator[str]:
        """Yield `make test`, or else `make check`, if the root's Makefile has such a target.

        The target must have a recipe, or name other targets.
        """
        name = next((name for name in _NAMES if name in files), None)
        targets = {match[1]: match[0] for match in _TARGET.finditer(read(name))} if name else {}
        for target in ("test", "check"):
            if (rule := targets.get(target)) and ("\n\t" in rule or rule.partition(":")[2].strip(" :\t")):
                yield f"make {target}"
                return
