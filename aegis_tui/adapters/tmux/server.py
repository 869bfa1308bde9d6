"""The private tmux server as a process: start, stop, and single commands that run in their own process.

Every command of this adapter goes through `TmuxServer.fork`, `SetupServer.cmd` or the control client; each has a
deadline.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import libtmux
from libtmux.common import get_version_str, tmux_cmd
from libtmux.exc import LibTmuxException

from aegis_tui.adapters.process import end_child, find_identity, is_same_process_alive
from aegis_tui.adapters.process_table import ProcessIdentity
from aegis_tui.adapters.tmux.config import (
    BIRTH_HEIGHT,
    BIRTH_WIDTH,
    HOME_WINDOW,
    SESSION,
    home_command,
    server_environment,
    socket_of,
    with_usable_folder,
    write_config,
)
from aegis_tui.errors import TerminalError, TerminalUnavailable, UsageError

MIN_VERSION = (3, 2)
DEADLINE_S = 5.0
SILENT_S = 120.0
"""A command that starts the server and has not ended after this long hangs: a loaded machine needs seconds."""
START_TRIES = 100
"""How many starts may fail in a row: the previous server on the same socket may still be ending."""
_RETRY_S = 0.2
_POLL_S = 0.02
_SOCKET_NAME = re.compile(r"aegis-[A-Za-z0-9_-]+\Z")
_GONE = re.compile(r"no server running|error connecting to .*(No such file|refused)|lost server|server exited")
CHAIN: Final = object()
"""Separates two commands in the arguments of `SetupServer.cmd`: both run in one tmux process."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ForkReply:
    """The result of one tmux process."""

    ok: bool
    stdout: str
    error: str


class SetupServer(libtmux.Server):
    """libtmux's server object, with a deadline and our environment for every command."""

    def __init__(self, argv: Sequence[str], environment: Mapping[str, str]) -> None:
        super().__init__(tmux_bin=argv[0])
        self._argv = tuple(argv)
        self._environment = dict(environment)

    def cmd(self, cmd: str, *args: Any, target: str | int | None = None) -> tmux_cmd:
        """Run one command and return its result; an exit status other than 0 does not raise. Blocks, for 5 s at most.

        The result has `returncode`, and `stdout` and `stderr` as lists of lines.

        Args:
            cmd: The command's name.
            args: Its arguments; `CHAIN` separates it from another command in the same process.
            target: The value of its `-t` option.

        Raises:
            LibTmuxException: tmux cannot be started, or did not answer in time.
        """
        tail = [";" if arg is CHAIN else literal(str(arg)) for arg in args]
        targeted = [] if target is None else ["-t", str(target)]
        return _DeadlineCommand([*self._argv, cmd, *targeted, *tail], self._environment)


class _DeadlineCommand(tmux_cmd):
    """A tmux command with a deadline: libtmux itself would wait for ever for a tmux that does not answer."""

    def __init__(self, argv: list[str], environment: Mapping[str, str]) -> None:
        self.cmd = argv
        try:
            done = subprocess.run(
                argv,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=DEADLINE_S,
                start_new_session=True,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise LibTmuxException(f"tmux {argv[-1]!r} did not answer in {DEADLINE_S:g} s") from error
        except OSError as error:
            raise LibTmuxException(f"tmux cannot be started: {error}") from error
        self.returncode = done.returncode
        self.stdout = done.stdout.decode("utf-8", "replace").splitlines()
        self.stderr = done.stderr.decode("utf-8", "replace").splitlines()


def literal(arg: str) -> str:
    """Return an argument with its final semicolon escaped, which tmux would read as the separator of two commands.

    An argument that does not end in a semicolon is returned as it is.
    """
    return arg[:-1] + "\\;" if arg.endswith(";") else arg


def format_literal(text: str) -> str:
    """Return text for an argument that tmux expands as a format, escaped so that `#(command)` in it is not executed."""
    return text.replace("#", "##")


def tmux_error(text: str) -> TerminalError | TerminalUnavailable:
    """Return (not raise) the error for what tmux wrote to stderr.

    `TerminalUnavailable` if the text says that no server runs, else `TerminalError`.
    """
    if _GONE.search(text):
        return TerminalUnavailable(f"the tmux server is gone: {text}", "aegis-tui hub start", reason=text)
    return TerminalError(f"tmux: {text or 'failed without a message'}")


def _start_error(error: OSError) -> TerminalError | TerminalUnavailable:
    """Return (not raise) the error for a tmux that cannot be started.

    `TerminalUnavailable` if there is no such program or it may not be run, else `TerminalError`.
    """
    if isinstance(error, FileNotFoundError | PermissionError):
        return TerminalUnavailable(
            f"tmux cannot be started: {error}", "install tmux 3.2 or newer, then `aegis-tui doctor`"
        )
    return TerminalError(f"tmux cannot be started: {error}")


def scope_prefix(environment: Mapping[str, str]) -> list[str]:
    """Return the argv to put before a command so that it runs in a control group of its own; empty without systemd.

    Otherwise a server that was started from a service or a login session would be ended together with it.
    """
    program = shutil.which("systemd-run", path=environment.get("PATH"))
    runtime = environment.get("XDG_RUNTIME_DIR")
    if program is None or not runtime or not (Path(runtime) / "bus").is_socket():
        return []
    return [program, "--user", "--scope", "--quiet", "--collect", "--"]


class TmuxServer:
    """One private server, identified by its socket name. The server may run already, or not yet.

    Args:
        socket_name: `aegis-<workspace key>`; other names are refused, so that no other tmux server is ever touched.
        config_dir: Folder for the configuration file; created with mode 0700.
        environment: PATH, HOME, locale, XDG folders and AEGIS_STATE_DIR are taken from it, nothing else.

    Raises:
        UsageError: The socket name is not one of ours.
    """

    def __init__(self, socket_name: str, *, config_dir: Path, environment: Mapping[str, str]) -> None:
        if not _SOCKET_NAME.match(socket_name):
            raise UsageError(f"{socket_name!r} is not the name of a private tmux server", "aegis-<key>")
        self.socket_name = socket_name
        self.environment = with_usable_folder(server_environment(environment), socket_name)
        self.config_path = config_dir / "tmux.conf"
        self._binary = shutil.which("tmux", path=self.environment["PATH"])

    @property
    def workspace(self) -> str:
        """The workspace key in the socket's name."""
        return self.socket_name.removeprefix("aegis-")

    def argv(self, *args: str) -> list[str]:
        """Return the command line of tmux for this server, with its socket and configuration, and `args` at its end.

        Raises:
            TerminalUnavailable: There is no tmux.
        """
        if self._binary is None:
            raise TerminalUnavailable("tmux is not installed", "install tmux 3.2 or newer, then `aegis-tui doctor`")
        return [self._binary, "-u", "-L", self.socket_name, "-f", str(self.config_path), *args]

    def setup(self) -> SetupServer:
        """Return libtmux's object for the server, for rare commands in a thread; starts nothing.

        Raises:
            TerminalUnavailable: There is no tmux.
        """
        return SetupServer(self.argv(), self.environment)

    async def fork(self, commands: Sequence[Sequence[str]]) -> ForkReply:
        """Run commands, chained, in one tmux process; return whether all succeeded, and what it printed.

        The first that fails ends the chain: what the ones before it printed is in the result, and tmux's message.

        Args:
            commands: Name and arguments of each command.

        Raises:
            TerminalUnavailable: There is no tmux.
            TerminalError: No answer in time, or tmux cannot be started, such as with too long an argument.
        """
        args: list[str] = []
        for command in commands:
            args += [*([";"] if args else []), *map(literal, command)]
        argv = self.argv(*args)
        try:
            process = await asyncio.create_subprocess_exec(
                *argv,
                env=self.environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            raise _start_error(error) from error
        try:
            async with asyncio.timeout(DEADLINE_S):
                out, err = await process.communicate()
        except TimeoutError as error:
            raise TerminalError(f"tmux {commands[0][0]} did not answer in {DEADLINE_S:g} s") from error
        finally:
            if process.returncode is None:
                await end_child(process)
        return ForkReply(
            process.returncode == 0, out.decode("utf-8", "replace"), err.decode("utf-8", "replace").strip()
        )

    async def start(self) -> None:
        """Start the server and its session if they do not exist; wait if a server on the same socket is just ending.

        Raises:
            TerminalUnavailable: tmux is missing or older than 3.2, or all attempts to start it fail.
            OSError: The server's configuration cannot be written.
            UsageError: AEGIS_ORPHAN_S in the environment is not a number.
        """
        await asyncio.to_thread(self._check_version)
        await asyncio.to_thread(write_config, self.config_path.parent)
        tries = 0
        scope = await asyncio.to_thread(scope_prefix, self.environment)
        while not await self._has_session():
            if tries == START_TRIES:
                raise TerminalUnavailable(
                    "the tmux server does not start", f"try: {' '.join(self.argv('new-session'))}"
                )
            await self._spawn(scope, pause_s=min(_RETRY_S, _POLL_S * (tries + 1)))
            scope, tries = [], tries + 1

    async def stop(self) -> None:
        """Stop the server; return when its process and its socket are gone. Without a server, only delete its socket.

        Raises:
            TerminalUnavailable: There is no tmux.
            TerminalError: tmux cannot be started, the server does not answer or does not end within 5 s, or the socket
                cannot be deleted.
        """
        reply = await self.fork([["display-message", "-p", "#{pid}|#{socket_path}"]])
        pid_text, _, socket = reply.stdout.strip().partition("|")
        identity = find_identity(int(pid_text)) if pid_text.isdigit() else None
        if identity is not None:
            await self.fork([["kill-server"]])
            await self._wait_gone(identity)
        path = Path(socket) if socket else self.socket_path
        try:
            await asyncio.to_thread(path.unlink, missing_ok=True)
        except OSError as error:
            raise TerminalError(f"the tmux socket cannot be deleted: {error}") from error

    @property
    def socket_path(self) -> Path:
        """The path of the server's socket, by tmux's rule (tmux(1), `-L`)."""
        return socket_of(self.environment.get("TMUX_TMPDIR"), self.socket_name)

    async def _wait_gone(self, identity: ProcessIdentity) -> None:
        deadline = time.monotonic() + DEADLINE_S
        while is_same_process_alive(identity):
            if time.monotonic() > deadline:
                raise TerminalError(f"the tmux server (pid {identity.pid}) does not end")
            await asyncio.sleep(_POLL_S)

    def _check_version(self) -> None:
        try:
            text = get_version_str(self.argv()[0])
        except (LibTmuxException, OSError) as error:
            raise TerminalUnavailable("tmux does not report its version", "install tmux 3.2 or newer") from error
        match = re.search(r"(\d+)\.(\d+)", text)
        if match and not text.endswith("openbsd") and (int(match[1]), int(match[2])) < MIN_VERSION:
            raise TerminalUnavailable(f"tmux {text} is too old", "install tmux 3.2 or newer", found=text)

    async def _has_session(self) -> bool:
        with contextlib.suppress(TerminalError):
            return (await self.fork([["has-session", "-t", f"={SESSION}"]])).ok
        return False

    async def _spawn(self, scope: Sequence[str], *, pause_s: float) -> None:
        """Try once to start the server; after a failure, wait `pause_s` seconds and do not raise.

        Its standard streams are not pipes of ours, because it would keep them open for ever.

        Args:
            scope: The argv to put before the command (see `scope_prefix`); empty for none.
            pause_s: In seconds.

        Raises:
            TerminalUnavailable: There is no tmux, or it cannot be started at all.
            UsageError: AEGIS_ORPHAN_S in the environment is not a number.
        """
        size = ["-x", str(BIRTH_WIDTH), "-y", str(BIRTH_HEIGHT)]
        home = home_command(self.config_path.parent, self.environment)
        try:
            process = await asyncio.create_subprocess_exec(
                *scope,
                *self.argv("new-session", "-d", "-s", SESSION, "-n", HOME_WINDOW, *size, "--", *home),
                env=self.environment,
                cwd="/",
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError as error:
            raise TerminalUnavailable(f"the tmux server does not start: {error}", "aegis-tui doctor") from error
        try:
            async with asyncio.timeout(SILENT_S):
                await process.wait()
        except TimeoutError:
            log.warning("tmux start hangs", extra={"tmux_socket": self.socket_name})
        finally:
            if process.returncode is None:
                await end_child(process)
        if process.returncode:
            await asyncio.sleep(pause_s)
