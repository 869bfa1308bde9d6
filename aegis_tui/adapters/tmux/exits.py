"""Finds which panes have ended, and reports each once. Only computes with lists of panes; no IO."""

from __future__ import annotations

from collections.abc import Iterable

from aegis_tui.ports.terminal import PaneExit, PaneState

PaneKey = tuple[int, str]
"""Server pid and pane id: a new server numbers its panes from the start again."""

CODE_WAIT_S = 1.0
"""How long to wait for an exit code: tmux reports a pane dead before the process is reaped and the code is known."""


class ExitLedger:
    """Remembers which panes were alive and which ends have been reported."""

    def __init__(self) -> None:
        self._alive: dict[PaneKey, str] = {}
        self._reported: set[PaneKey] = set()
        self._codeless: dict[PaneKey, float] = {}

    @property
    def is_waiting(self) -> bool:
        """Whether a pane is dead and its exit code is still missing: observe again soon."""
        return bool(self._codeless)

    def opened(self, key: PaneKey, instance: str) -> None:
        """Record that a pane was opened for an instance, so that its end is reported even if no list ever shows it."""
        self._alive[key] = instance

    def observe(self, server_pid: int | None, panes: Iterable[PaneState], *, now: float) -> list[PaneExit]:
        """Return the ends that this list shows for the first time; a pane that has disappeared has ended too.

        The end of one that has disappeared has neither exit code nor signal. Empty if there are no new ends.

        Args:
            server_pid: The pid of the server that returned the list; None if no server runs, so that all panes have
                ended.
            panes: All panes of the server.
            now: Monotonic time in seconds. An end without a code is reported `CODE_WAIT_S` after it was first seen.
        """
        seen: dict[PaneKey, PaneState] = {(server_pid or 0, pane.pane_id): pane for pane in panes}
        dead = {key: pane for key, pane in seen.items() if pane.dead and key not in self._reported}
        self._codeless = {
            key: self._codeless.get(key, now)
            for key, pane in dead.items()
            if pane.exit_status is None and pane.exit_signal is None
        }
        for key, since in list(self._codeless.items()):
            if now - since < CODE_WAIT_S:
                del dead[key]
            else:
                del self._codeless[key]
        gone = {key: instance for key, instance in self._alive.items() if key not in seen}
        self._reported = {key for key in seen if key in self._reported or key in dead}
        self._alive = {key: pane.instance for key, pane in seen.items() if key not in self._reported}
        return [
            *(PaneExit(pane.instance, pane.pane_id, pane.exit_status, pane.exit_signal) for pane in dead.values()),
            *(PaneExit(instance, pane_id, None, None) for (_, pane_id), instance in gone.items()),
        ]
