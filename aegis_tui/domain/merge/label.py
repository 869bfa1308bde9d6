"""The label of a merged file: what is known about a merge of two sides' changes, and what merged it (GIT-3)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal

from aegis_tui.domain.merge.generated import is_foreseen

MergeLabel = Literal["proven", "unproven", "refused"]
"""`proven`: an independent check found that what each side kept is there once. `unproven`: only QA can say more.
`refused`: a conflict."""
FileLabel = Literal["proven", "verified", "unproven", "refused"]
"""A label after QA: `verified` is an unproven merge that is part of a tree on which QA ran and found no new failure."""
Strategy = Literal["text", "structure", "lines", "rerere", "set", "manager", "mergiraf", "agent", "person"]
"""Git's own merge; by items; by lines, finer than git; as the same conflict was resolved before; as a set
of lines; made again by the package manager; by the program of that name; in the worktree of the agent of a piece; by
the person."""
_BY: Final[Mapping[str, str]] = MappingProxyType(
    {
        "text": "by git",
        "lines": "line by line",
        "rerere": "with a recorded resolution",
        "set": "as a set of lines",
        "manager": "by its package manager",
        "agent": "by an agent",
        "person": "by the person",
    }
)


def label_words(label: str | None, strategy: str | None, reason: str = "") -> str:
    """Return a label for a person, such as `by structure, proven`; empty if there is none.

    For a file that will be regenerated it is just that, in the words of `reason`.
    """
    if label is None:
        return ""
    if is_foreseen(reason):
        return reason
    words = f"{_BY.get(strategy, f'by {strategy}')}, {label}" if strategy else label
    return f"{words}: {reason}" if reason and label in ("verified", "refused") else words
