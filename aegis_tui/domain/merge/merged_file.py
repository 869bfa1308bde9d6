"""A file that two sides changed and that was merged, with its label (GIT-3)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from aegis_tui.domain.merge.label import FileLabel, Strategy
from aegis_tui.domain.model import FrozenModel

_MOST_LABELS: Final = 50
_TRAILER: Final = re.compile(r"[A-Za-z][A-Za-z-]*: ")


class MergedFile(FrozenModel):
    """One file that both sides of a merge changed."""

    path: str
    label: FileLabel
    strategy: Strategy | None = None
    """What merged it; None if nothing did."""
    reason: str = ""
    """Why it is refused, or what keeps it from being proven; for `verified`, on which tree QA ran."""


def with_file_trailers(message: str, files: Sequence[MergedFile]) -> str:
    """Return a commit message with a trailer for each file that both sides changed: what merged it, and its label.

    Only the first 50 files are named. The message is unchanged if there are none.
    """
    listed = [f"{file.path} ({_label(file)})" for file in files[:_MOST_LABELS]]
    trailers = "".join(f"Merged-file: {' '.join(words.split())}\n" for words in listed)
    if not trailers:
        return message
    last = message.rstrip("\n").rpartition("\n\n")[2] if "\n\n" in message else ""
    is_trailer = bool(last) and all(_TRAILER.match(line) for line in last.split("\n"))
    return message.rstrip("\n") + ("\n" if is_trailer else "\n\n") + trailers


def _label(file: MergedFile) -> str:
    return f"by {file.strategy}, {file.label}" if file.strategy else file.label
