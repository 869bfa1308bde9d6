"""Gives commands access to the ending of programs that they started."""

from __future__ import annotations

from aegis_tui.adapters.process import end_group, end_process_tree


def end_program(pid: int, *, marker: tuple[str, str], grace_s: float) -> None:
    """End a program with its group, its descendants, and what bears its marker; blocking, as `end_process_tree`."""
    end_process_tree(pid, marker=marker, grace_s=grace_s)


def end_rest(group: int, *, grace_s: float) -> None:
    """End what a program that has ended left in its process group; blocking, as `end_group`."""
    end_group(group, grace_s=grace_s)
