"""Asks the machine what the instances of a workspace use: memory and processor time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from aegis_tui.adapters.process_table import read_table
from aegis_tui.adapters.process_usage import ProcessUsage, find_usage


def read_usage(key: str, pids: Iterable[tuple[str, int]]) -> Mapping[str, ProcessUsage]:
    """Return what each instance uses now, by instance id; one whose process has ended is missing.

    Args:
        key: The key of the workspace.
        pids: Instance ids, each with the first process of its pane.
    """
    table = read_table()
    usages = {name: find_usage(pid, (name, key), table) for name, pid in pids}
    return {name: usage for name, usage in usages.items() if usage is not None}
