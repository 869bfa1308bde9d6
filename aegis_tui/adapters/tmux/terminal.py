"""Implements `Terminal` with a private tmux server: one window per instance, libtmux and control mode."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from pathlib import Path

from libtmux import Session
from libtmux.exc import LibTmuxException

from aegis_tui.adapters.process import (
    MARKER_VARIABLES,
    end_process_tree,
    find_identity,
    is_same_process_alive,
)
from aegis_tui.adapters.process_table import ProcessIdentity
from aegis_tui.adapters.tmux import attach
from aegis_tui.adapters.tmux.channel import PaneChannel
from aegis_tui.adapters.tmux.config import SESSION
from aegis_tui.adapters.tmux.control import ControlLink, ControlLost
from aegis_tui.adapters.tmux.exits import ExitLedger
from aegis_tui.adapters.tmux.feeds import DirtyFeed, ExitFeed
from aegis_tui.adapters.tmux.naming import check_name, check_spec
from aegis_tui.adapters.tmux.server import CHAIN, TmuxServer, format_literal, tmux_error
from aegis_tui.errors import TerminalError, TerminalUnavailable
from aegis_tui.ports.terminal import OpenPane, PaneExit, PaneKey, PaneSpec, PaneState, Screenshot

POLL_S = 2.0
"""How often the list of panes is read if nothing requires it earlier, in seconds."""
_POLL_WITHOUT_LINK_S = 0.5
_LINK_WAIT_S = 2.0
_DEAD_WAIT_S = 1.5
_CODE_POLL_S = 0.05

log = logging.getLogger(__name__)


class TmuxTerminal:
    """The panes of one workspace. Create one object per event loop; several processes may use one server.

    Methods raise `TerminalUnavailable` if no server runs or there is no tmux, and `TerminalError` if tmux refuses, does
    not answer or cannot be started.

    Args:
        socket_name: `aegis-<workspace key>` (contract 1).
        config_dir: Private folder for tmux's configuration file; created if missing.
        environment: The panes' few variables are taken from it; see `server_environment`.

    Raises:
        UsageError: The socket name is not that of a private server.
    """

    def __init__(self, socket_name: str, *, config_dir: Path, environment: Mapping[str, str]) -> None:
        self.socket_name = socket_name
        self._server = TmuxServer(socket_name, config_dir=config_dir, environment=environment)
        self._dirty = DirtyFeed()
        self._exits = ExitFeed()
        self._ledger = ExitLedger()
        self._ledger_lock = asyncio.Lock()
        self._wake = asyncio.Event()
        self._identity: ProcessIdentity | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._link = ControlLink(
            lambda: self._server.argv("-N", "-C", "attach-session", "-t", f"={SESSION}", "-f", "ignore-size"),
            self._server.environment,
            on_output=self._dirty.mark,
            on_change=self._wake.set,
        )
        self._channel = PaneChannel(self._server, self._link)

    async def start(self) -> None:
        """Start the server if it does not run, connect to it, and begin to watch its panes; see `Terminal.start`.

        Returns after two seconds at most even if the connection is not made by then; it is made in the background.

        Raises:
            TerminalUnavailable: tmux is missing or older than 3.2, or the server does not start.
            OSError: The server's configuration cannot be written.
            UsageError: AEGIS_ORPHAN_S in the environment is not a number.
        """
        if not await self._serves():
            await self._server.start()
        self._link.start()
        if self._watcher is None or self._watcher.done():
            self._watcher = asyncio.create_task(self._watch(), name="tmux-watch")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LINK_WAIT_S):
                await self._link.up.wait()

    async def _serves(self) -> bool:
        """Return whether the server that this object is connected to still answers, and has its session."""
        with contextlib.suppress(ControlLost):
            (reply,) = await self._link.request([["has-session", "-t", f"={SESSION}"]])
            return reply.ok
        return False

    async def close(self) -> None:
        """Disconnect from the server and end the streams; the panes keep running. A second call does nothing."""
        watcher, self._watcher = self._watcher, None
        if watcher is not None:
            watcher.cancel()
            await asyncio.wait([watcher])
        await self._link.close()
        self._dirty.close()
        self._exits.close()

    async def open_pane(self, spec: PaneSpec) -> OpenPane:
        """Return the live pane of an instance; without one, open it from `spec`; see `Terminal.open_pane`.

        A pane whose program has ended is closed before.

        Raises:
            UsageError: The instance id cannot be the name of a window, or there is no program to run.
            TerminalError: The working folder does not exist, or tmux refuses or does not answer.
            TerminalUnavailable: No server runs.
        """
        check_spec(spec)
        if not await asyncio.to_thread(spec.cwd.is_dir):
            # tmux would silently start it in the home folder instead.
            raise TerminalError(f"the folder in which {spec.instance} would start does not exist: {spec.cwd}")
        async with self._ledger_lock:
            existing = _of_instance((await self._list_and_tell()), spec.instance)
            if existing is not None and not existing.dead:
                return OpenPane(existing.instance, existing.pane_id, existing.pid)
            if existing is not None:
                await self._channel.run("kill-window", "-t", existing.pane_id)
            try:
                row = await asyncio.to_thread(self._new_window, spec)
            except LibTmuxException as error:
                raise TerminalError(str(error)) from error
            server_pid, pane_id, pid = row.split("|")
            self._ledger.opened((int(server_pid), pane_id), spec.instance)
        return OpenPane(spec.instance, pane_id, int(pid))

    async def find_pane(self, instance: str) -> PaneState | None:
        """Return the pane of an instance, dead or alive; None if it has none (`Terminal.find_pane`).

        Raises:
            TerminalUnavailable: No server runs.
            TerminalError: tmux does not answer.
        """
        return _of_instance(await self.list_panes(), instance)

    @property
    def socket_path(self) -> Path:
        """The path of the server's socket, whether or not the server runs."""
        return self._server.socket_path

    async def list_panes(self) -> list[PaneState]:
        """Return the panes of all instances, dead ones too, in the order of their windows (`Terminal.list_panes`).

        Raises:
            TerminalUnavailable: No server runs.
            TerminalError: tmux does not answer.
        """
        return (await self._channel.list_panes())[1]

    async def capture(self, pane_ids: Sequence[str], history_lines: int = 0) -> dict[str, Screenshot]:
        """Return what the panes show, by pane id; missing panes are left out; see `Terminal.capture`.

        Args:
            pane_ids: The panes wanted; what is no pane id is ignored.
            history_lines: How many lines above the screen to include, at most.

        Raises:
            TerminalUnavailable: No server runs.
            TerminalError: tmux does not answer.
        """
        return await self._channel.capture(pane_ids, history_lines)

    async def press(self, pane_id: str, key: PaneKey) -> bool:
        """Type one key into a pane, at most once; return whether it was typed (`Terminal.press`).

        Raises:
            TerminalUnavailable: No server runs.
            TerminalError: tmux does not answer; the key may or may not have been typed.
        """
        return await self._channel.press(pane_id, key)

    def dirty(self) -> AsyncGenerator[frozenset[str], None]:
        """Yield sets of ids of panes with new output until `close`, at most 10 a second; see `Terminal.dirty`.

        It begins with the output after the first set is asked for. No set is empty. Without a control client, every
        live pane counts as having new output.
        """
        return self._dirty.follow()

    def exits(self) -> AsyncGenerator[PaneExit, None]:
        """Yield each end of a pane's first process once, until `close`; see `Terminal.exits`.

        Every follower gets every end; those that occur while nobody follows are kept for the next.
        """
        return self._exits.follow()

    async def close_pane(self, instance: str, *, grace_s: float = 2.0) -> None:
        """End every process that an instance started, then close its window; see `Terminal.close_pane`.

        They are found and ended even if the pane, the server or tmux is gone; if nothing is left, that is no error.

        Args:
            instance: The instance id.
            grace_s: Seconds between SIGTERM and SIGKILL.

        Raises:
            TerminalError: tmux does not answer; the processes may or may not have been ended.
        """
        pane: PaneState | None = None
        with contextlib.suppress(TerminalUnavailable):
            pane = await self.find_pane(instance)
        root = pane.pid if pane is not None and not pane.dead else None
        marker = (instance, self._server.workspace)
        ended = await asyncio.to_thread(end_process_tree, root, marker=marker, grace_s=grace_s)
        log.info("pane closed", extra={"aegis_instance": instance, "processes": ended})
        if pane is None:
            return
        with contextlib.suppress(TerminalUnavailable):
            await self._tell_end(pane.pane_id)
            with contextlib.suppress(TerminalError):
                await self._channel.run("kill-window", "-t", pane.pane_id)

    async def stop_server(self) -> None:
        """Close every pane as `close_pane` does, then disconnect and stop the server; see `Terminal.stop_server`.

        Returns when the server has ended; if none runs, only disconnects and deletes its socket.

        Raises:
            TerminalError: The server does not answer, or does not end.
            TerminalUnavailable: There is no tmux.
        """
        await self._find_socket()
        with contextlib.suppress(TerminalUnavailable):
            await asyncio.gather(*(self.close_pane(pane.instance) for pane in await self.list_panes()))
        await self.close()
        await self._server.stop()

    def attach_argv(self, instance: str, *, read_only: bool = False, environ: Mapping[str, str]) -> list[str]:
        """Return the command that shows a person the pane of an instance; see `Terminal.attach_argv`. Blocks.

        It is not run, and whether the pane exists is not checked.

        Args:
            instance: The instance id.
            read_only: The person's keys do not reach the program.
            environ: The environment that the command will run in; TMUX and TERM in it say in which terminal.

        Raises:
            UsageError: The instance id cannot be the name of a window.
            TerminalUnavailable: tmux is not installed.
        """
        return attach.attach_argv(
            self._server.argv(),
            check_name(instance),
            read_only=read_only,
            environ=environ,
            socket_name=self.socket_name,
            tmux_tmpdir=self._server.environment.get("TMUX_TMPDIR"),
        )

    def _new_window(self, spec: PaneSpec) -> str:
        """Create the window of an instance, mark its pane as the instance's, and set its title. Blocks.

        Returns:
            The server's pid, the pane's id and the pid of its program, separated by `|`.

        Raises:
            TerminalUnavailable: No server runs.
            TerminalError: tmux refuses.
            LibTmuxException: tmux cannot be started, or did not answer in time.
        """
        environment = dict(zip(MARKER_VARIABLES, (spec.instance, self._server.workspace), strict=True))
        window = f"={SESSION}:={spec.instance}"
        # tmux passes a single word to a shell, but runs several words directly.
        argv = spec.argv if len(spec.argv) > 1 else ("env", "--", *spec.argv)
        reply = Session(server=self._server.setup(), session_id=f"={SESSION}:").cmd(
            "new-window",
            *("-d", "-P", "-F", "#{pid}|#{pane_id}|#{pane_pid}"),
            *("-n", spec.instance, "-c", format_literal(str(spec.cwd))),
            *(f"-e{name}={value}" for name, value in environment.items()),
            *("--", *argv),
            CHAIN,
            *("set-option", "-p", "-t", window, "@aegis_instance", spec.instance),
            CHAIN,
            *("select-pane", "-t", window, "-T", format_literal(spec.title or spec.instance)),
        )
        if reply.returncode or not reply.stdout:
            raise tmux_error(" ".join(reply.stderr))
        return reply.stdout[0]

    async def _watch(self) -> None:
        """Report ends of panes to the followers of `exits`, until cancelled.

        Without a control client, which would report output, every live pane counts as one with new output each half
        second.
        """
        while True:
            self._wake.clear()
            panes = await self._observe()
            linked = self._link.up.is_set()
            if not linked:
                for pane in panes:
                    if not pane.dead:
                        self._dirty.mark(pane.pane_id)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._pause_s(linked)):
                    await self._wake.wait()

    async def _find_socket(self) -> None:
        """If a running server has lost its socket, have it create that again, and wait for it two seconds at most.

        Else return at once. Raises nothing.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LINK_WAIT_S):
                while not await asyncio.to_thread(self._server.socket_path.exists):
                    if self._identity is None or not is_same_process_alive(self._identity):
                        return
                    await self._observe()
                    await asyncio.sleep(_CODE_POLL_S)

    def _pause_s(self, linked: bool) -> float:
        if self._ledger.is_waiting:
            return _CODE_POLL_S
        return POLL_S if linked else _POLL_WITHOUT_LINK_S

    async def _observe(self) -> list[PaneState]:
        """Return the panes, dead ones too, and send new ends to followers of `exits`; empty if tmux does not answer.

        If no server runs, all panes count as ended; one that only lost its socket is asked to create it again.
        """
        async with self._ledger_lock:
            try:
                return await self._list_and_tell()
            except TerminalUnavailable:
                if self._identity is not None and is_same_process_alive(self._identity):
                    # The socket was removed; tmux recreates it on this signal (tmux(1)).
                    os.kill(self._identity.pid, signal.SIGUSR1)
                else:
                    self._exits.tell(self._ledger.observe(None, [], now=time.monotonic()))
            except TerminalError as error:
                log.warning("panes unknown", extra={"reason": str(error)})
        return []

    async def _list_and_tell(self) -> list[PaneState]:
        """Return the panes, dead ones too, and send new ends to the followers of `exits`. Hold the ledger's lock.

        An end without an exit code so far is sent by a later call: when the code is known, or after 1 s without it.

        Raises:
            TerminalUnavailable: No server runs.
            TerminalError: tmux does not answer.
        """
        server_pid, panes = await self._channel.list_panes()
        if self._identity is None or self._identity.pid != server_pid:
            self._identity = find_identity(server_pid)
        self._exits.tell(self._ledger.observe(server_pid, panes, now=time.monotonic()))
        if self._ledger.is_waiting and self._identity is not None and is_same_process_alive(self._identity):
            # tmux 3.3a misses the end of a child now and then (2 rounds of 6 here) and leaves it unreaped, without an
            # exit code, until the next SIGCHLD; one more does no harm.
            os.kill(self._identity.pid, signal.SIGCHLD)
        return panes

    async def _tell_end(self, pane_id: str) -> None:
        """Wait until the server has seen the end of the pane's program, and send it to the followers of `exits`.

        Gives up after 1.5 s without an error.

        Raises:
            TerminalUnavailable: No server runs.
            TerminalError: tmux does not answer.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_DEAD_WAIT_S):
                while True:
                    async with self._ledger_lock:
                        panes = await self._list_and_tell()
                    if all(pane.dead for pane in panes if pane.pane_id == pane_id) and not self._ledger.is_waiting:
                        return
                    await asyncio.sleep(_CODE_POLL_S)


def _of_instance(panes: Sequence[PaneState], instance: str) -> PaneState | None:
    return next((pane for pane in panes if pane.instance == instance), None)
