"""Sends commands to the private server: through the control client if there is one, else by a forked tmux process."""

from __future__ import annotations

import re
import secrets
import signal
from collections.abc import Sequence

from aegis_tui.adapters.tmux.config import SESSION
from aegis_tui.adapters.tmux.control import ControlLink, ControlLost
from aegis_tui.adapters.tmux.protocol import Reply
from aegis_tui.adapters.tmux.screen import SCREEN_FORMAT, parse_screen
from aegis_tui.adapters.tmux.server import TmuxServer, tmux_error
from aegis_tui.errors import TerminalError, TerminalUnavailable
from aegis_tui.ports.terminal import PaneKey, PaneState, Screenshot

_PANE_ID = re.compile(r"%\d+\Z")
# tmux 3.3a prints TAB and control bytes as "_" when no client is attached: hence "|", and free text last.
_PANE_FORMAT = "|".join(
    f"#{{{name}}}"
    for name in (
        "pid",
        "pane_id",
        "pane_pid",
        "pane_dead",
        "pane_dead_status",
        "pane_dead_signal",
        "@aegis_instance",
        "pane_title",
    )
)


class PaneChannel:
    """Sends commands to the server, whichever transport is available."""

    def __init__(self, server: TmuxServer, link: ControlLink) -> None:
        self._server = server
        self._link = link

    async def run(self, *command: str) -> list[str]:
        """Run one command, which may be run twice, and return its output lines.

        Args:
            command: Name and arguments.

        Raises:
            TerminalUnavailable: No server runs, or tmux is not installed.
            TerminalError: The server refused the command or did not answer, an argument contains a line break, or tmux
                cannot be started.
        """
        try:
            reply = (await self._link.request([command]))[0]
        except ControlLost:
            forked = await self._server.fork([command])
            reply = Reply(forked.ok, tuple((forked.stdout if forked.ok else forked.error).splitlines()))
        if not reply.ok:
            raise tmux_error(" ".join(reply.lines))
        return list(reply.lines)

    async def list_panes(self) -> tuple[int, list[PaneState]]:
        """Return the server's pid, and the panes of all instances, dead ones too; (0, []) if the session has no window.

        The panes are in the order of their windows.

        Raises:
            TerminalUnavailable: No server runs.
            TerminalError: tmux does not answer.
        """
        # Only one session is listed, not all (-a): grouped sessions would repeat each pane for every attached person.
        rows = await self.run("list-panes", "-s", "-t", f"={SESSION}", "-F", _PANE_FORMAT)
        panes = [pane for row in rows if (pane := _pane_state(row)) is not None]
        return int(rows[0].partition("|")[0]) if rows else 0, panes

    async def find_pane(self, pane_id: str) -> PaneState | None:
        """Return the pane with this id, running or ended; None if no instance has it.

        Raises:
            TerminalUnavailable: No server runs.
            TerminalError: tmux does not answer.
        """
        return next((pane for pane in (await self.list_panes())[1] if pane.pane_id == pane_id), None)

    async def capture(self, pane_ids: Sequence[str], history_lines: int = 0) -> dict[str, Screenshot]:
        """Return what the panes show, by pane id; a pane that does not exist is left out.

        Args:
            pane_ids: The panes wanted; what is no pane id is ignored.
            history_lines: How many lines above the screen to include, at most.

        Raises:
            TerminalUnavailable: No server runs.
            TerminalError: tmux does not answer.
        """
        wanted = [pane_id for pane_id in dict.fromkeys(pane_ids) if _PANE_ID.match(pane_id)]
        commands = [command for pane_id in wanted for command in _capture_commands(pane_id, history_lines)]
        if not commands:
            return {}
        try:
            replies = await self._link.request(commands)
        except ControlLost:
            return await self._capture_by_fork(wanted, history_lines)
        shots: dict[str, Screenshot] = {}
        for pane_id, header, body in zip(wanted, replies[::2], replies[1::2], strict=True):
            if header.ok and body.ok and header.lines and (shot := parse_screen(header.lines[0], body.lines)):
                shots[pane_id] = shot
        return shots

    async def press(self, pane_id: str, key: PaneKey) -> bool:
        """Type one key into a pane, at most once; return whether it was typed (`Terminal.press`).

        Raises:
            TerminalUnavailable: No server runs.
            TerminalError: tmux does not answer; the key may or may not have been typed.
        """
        if not _PANE_ID.match(pane_id):
            return False
        # In a mode, such as that for the history, the key would be a command of the mode.
        state = await self.run("display-message", "-p", "-t", pane_id, "#{pane_in_mode}|#{pane_dead}")
        if state != ["0|0"] and state != ["0|"]:
            return False
        command = ["send-keys", "-t", pane_id, key]
        try:
            if self._link.up.is_set():
                return (await self._link.request([command]))[0].ok
        except ControlLost as error:
            raise TerminalError("tmux did not answer, and may have typed the key") from error
        return (await self._server.fork([command])).ok

    async def _capture_by_fork(self, pane_ids: Sequence[str], history_lines: int) -> dict[str, Screenshot]:
        """Return what the panes show, by pane id, without a control client; a pane that does not exist is left out.

        Starts one tmux process for all panes, plus one for each missing pane, because an error ends the chain.

        Args:
            pane_ids: The panes wanted; all of them valid ids.
            history_lines: How many lines above the screen to include, at most.

        Raises:
            TerminalUnavailable: No server runs.
            TerminalError: tmux does not answer.
        """
        remaining = list(pane_ids)
        shots: dict[str, Screenshot] = {}
        while remaining:
            mark = f"mark-{secrets.token_hex(16)}"
            chain = [
                command
                for pane_id in remaining
                for command in (*_capture_commands(pane_id, history_lines), ["display-message", "-p", mark])
            ]
            reply = await self._server.fork(chain)
            if not reply.ok and isinstance(error := tmux_error(reply.error), TerminalUnavailable):
                raise error
            pieces = reply.stdout.split(f"{mark}\n")[:-1]
            for pane_id, piece in zip(remaining, pieces, strict=False):
                header, *lines = piece.removesuffix("\n").split("\n")
                if shot := parse_screen(header, lines):
                    shots[pane_id] = shot
            remaining = remaining[len(pieces) + 1 :]
        return shots


def _capture_commands(pane_id: str, history_lines: int) -> list[list[str]]:
    above = ["-S", str(-history_lines)] if history_lines > 0 else []
    return [
        ["display-message", "-p", "-t", pane_id, SCREEN_FORMAT],
        ["capture-pane", "-p", "-e", "-N", "-t", pane_id, *above],
    ]


def _pane_state(row: str) -> PaneState | None:
    """Return the pane that one line of tmux's output in `_PANE_FORMAT` describes; None if it belongs to no instance."""
    fields = row.split("|", 7)
    if len(fields) != 8 or not fields[6]:
        return None
    _, pane_id, pid, dead, status, dead_signal, instance, title = fields
    return PaneState(
        instance=instance,
        pane_id=pane_id,
        pid=int(pid or 0),
        dead=dead == "1",
        exit_status=int(status) if status.isdigit() else None,
        exit_signal=_signal_number(dead_signal),
        title=title,
    )


def _signal_number(text: str) -> int | None:
    """Return the number of the signal that tmux printed; None if it printed nothing (before 3.3) or an unknown name.

    It prints a number on Linux, and a name without `SIG` on macOS and BSD.
    """
    if text.isdigit():
        return int(text) or None
    number = getattr(signal, f"SIG{text.upper()}", None) if text else None
    return int(number) if number else None
