"""Lock files of package managers: they are generated anew from both sides' manifests, never merged by lines (GIT-3).

Only `go.sum` is merged: it is a set of lines (`sum_file`).
"""

from __future__ import annotations

from aegis_tui.domain.environment.setup import LOCKS
from aegis_tui.domain.merge.sum_file import is_sum_file
from aegis_tui.domain.scope.lockfile import how_to_make, lockfile_of


def is_lock_file(path: str) -> bool:
    """Whether a file is a lock file that cannot be merged, by its name."""
    known = path.rpartition("/")[2] in LOCKS or lockfile_of(path) is not None
    return known and not is_sum_file(path)


def regenerating(path: str) -> str:
    """Return why a lock file is not merged, and what to do instead."""
    how = f"with {command}" if (command := how_to_make(path)) else "with its package manager"
    return f"a lock file is generated, not merged: merge the manifests, then regenerate it {how}"
