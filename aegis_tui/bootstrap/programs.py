"""Gives commands access to the ending of programs that they started."""

from __future__ import annotations

from aegis_tui.adapters.process import end_group, end_process_tree


def end_program(pid: int, *, marker: tuple[str, str], grace_s: float) -> None:
    """End a program with its descendants, its session and what bears its marker; do nothing for those that are gone.

    SIGTERM first, SIGKILL after `grace_s`. Blocks for at most `grace_s` plus five seconds, even if one still runs.

    Args:
        pid: The program.
        marker: Instance id and workspace key; a process bears it that has both in its environment.
        grace_s: Seconds between the two signals.
    """
    end_process_tree(pid, marker=marker, grace_s=grace_s)


def end_rest(group: int, *, grace_s: float) -> None:
    """End what a program that has ended left in its process group and session; do nothing if nothing is left.

    SIGTERM first, SIGKILL after `grace_s` seconds. Blocks until they are gone, or some seconds after SIGKILL.
    """
    end_group(group, grace_s=grace_s)
