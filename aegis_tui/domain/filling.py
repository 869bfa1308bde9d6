"""The mark of a worktree that is not complete yet: a file in the worktree's git folder (PERF-6)."""

from __future__ import annotations

from typing import Final

FILLING_NAME: Final = "aegis-filling"
"""Name of the file. It is deleted when every file of the worktree is there."""

WANTED_NAME: Final = "aegis-filling-wanted"
"""Name of a file that an instance makes beside the mark when it needs the missing files at once."""
