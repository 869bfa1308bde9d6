"""The command that hands a terminal to a pane: what it assumes of the terminal, and the way round a popup."""

from __future__ import annotations

from collections.abc import Sequence

NO_CLIENT = "no current client"
"""What tmux says to a popup where nobody looks at the tmux that it should lie over."""

_ASSUMED = "TERM="


def assumed_terminal(argv: Sequence[str]) -> str:
    """The terminal that the command takes this one for, `attaching as xterm-256color`; empty when it is known."""
    found = next((word for word in argv[:4] if word.startswith(_ASSUMED)), "")
    return f"attaching as {found.removeprefix(_ASSUMED)}" if found else ""


def without_popup(argv: Sequence[str]) -> list[str]:
    """The same without the popup around it: in the terminal itself, also inside another tmux."""
    inner = list(argv[list(argv).index("--") + 1 :])
    return [";" if word == "\\;" else word for word in inner]
