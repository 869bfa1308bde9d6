"""Checks what becomes the name of a window and the command line of a pane."""

from __future__ import annotations

from aegis_tui.domain.ids import check_instance_id
from aegis_tui.errors import UsageError
from aegis_tui.ports.terminal import PaneSpec


def check_name(instance: str) -> str:
    """Return the instance id if it is an unambiguous window name: tmux would take a number for a window's index.

    Raises:
        UsageError: It is a number, or not a valid id.
    """
    if check_instance_id(instance).isdigit():
        raise UsageError(f"{instance!r} is not a usable instance id for a pane", "put a letter into it")
    return instance


def check_spec(spec: PaneSpec) -> None:
    """Return if a pane can be opened from this.

    Raises:
        UsageError: The instance id cannot be the name of a window, or there is no program to run.
    """
    check_name(spec.instance)
    if not spec.argv or any("\0" in text for text in (*spec.argv, spec.title)):
        raise UsageError(f"no program to run in the pane of {spec.instance}")
