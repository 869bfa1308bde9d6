"""Helpers for the command that attaches a terminal to a pane: its assumed terminal type, and how to avoid a popup."""

from __future__ import annotations

from collections.abc import Sequence

NO_CLIENT = "no current client"
"""Part of tmux's error when a popup is requested but no client shows the tmux session that it should cover."""

_ASSUMED = "TERM="


def assumed_terminal(argv: Sequence[str]) -> str:
    """Return a note on the terminal type that a command sets (`attaching as xterm-256color`), or an empty string.

    Args:
        argv: The command that attaches; it sets the type by a `TERM=...` among its first four words.
    """
    assumption = next((word for word in argv[:4] if word.startswith(_ASSUMED)), "")
    return f"attaching as {assumption.removeprefix(_ASSUMED)}" if assumption else ""


def without_popup(argv: Sequence[str]) -> list[str]:
    """Return what a tmux popup command runs, so that it attaches directly, even inside another tmux; `;` is unescaped.

    Args:
        argv: The command; what the popup runs comes after `--`.

    Raises:
        ValueError: It has no `--`.
    """
    inner = list(argv[list(argv).index("--") + 1 :])
    return [";" if word == "\\;" else word for word in inner]
