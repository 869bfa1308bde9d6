"""Go: vet and test every module, by its go.mod."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from aegis_tui.domain.qa.detectors.base import Read, folders_of


class GoDetector:
    """Finds the commands of every Go module, the root first."""

    name = "go"

    def wants(self, path: str) -> bool:
        """False for every file: the paths are enough."""
        return False

    def commands(self, files: Collection[str], read: Read) -> Iterator[str]:
        """Yield `go vet` of each module that has Go files, and `go test` of it where it has tests.

        The root comes first.

        A module is a folder with a go.mod; at most four count (see `folders_of`).
        """
        for folder in folders_of(files, "go.mod"):
            below = [path for path in files if path.endswith(".go") and path.startswith(folder)]
            if not below:
                continue
            inside = f" -C {folder.rstrip('/')}" if folder else ""
            yield f"go{inside} vet ./..."
            if any(path.endswith("_test.go") for path in below):
                yield f"go{inside} test ./..."
