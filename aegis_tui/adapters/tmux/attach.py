"""The command lines that attach a person's terminal to a pane (PANE-2)."""

from __future__ import annotations

import secrets
import subprocess
from collections.abc import Mapping, Sequence

from aegis_tui.adapters.tmux.config import SESSION, VIEW

STAND_INS = ("xterm-256color", "xterm", "screen", "linux", "vt100")
"""Terminal types that most machines know, the most capable first."""

_INFOCMP_S = 5.0


def attach_argv(
    tmux: Sequence[str],
    window: str,
    *,
    read_only: bool,
    environ: Mapping[str, str],
    socket_name: str,
    tmux_tmpdir: str | None,
) -> list[str]:
    """Return the command that shows a person the window of an instance until they detach. May start `infocmp`.

    Each attach has its own session, grouped with the others, so that it has a current window of its own; the server's
    configuration ends that session when its client is gone. Inside another tmux the command opens a popup over that
    tmux, because a client cannot change servers. Inside the private server itself it only selects the window.

    Args:
        tmux: The command line of the private server, including its options.
        window: The name of the instance's window.
        read_only: The person's keys do not reach the program.
        environ: The environment that the command will run in; TMUX and TERM in it say in which terminal.
        socket_name: The private server's socket name.
        tmux_tmpdir: TMUX_TMPDIR of the private server, if set.
    """
    outer_socket = environ.get("TMUX", "").rpartition(",")[0].rpartition(",")[0]
    if outer_socket.rpartition("/")[2] == socket_name:
        return [*tmux, "select-window", "-t", f":={window}"]
    view = f"{VIEW}-{secrets.token_hex(4)}"
    flags = ["-f", "read-only,ignore-size"] if read_only else []
    commands = [
        ["new-session", "-d", "-t", f"={SESSION}", "-s", view],
        ["set-option", "-t", f"={view}:", "status", "on"],
        ["select-window", "-t", f"={view}:={window}"],
        ["attach-session", "-t", f"={view}", *flags],
    ]
    tmpdir = [] if environ.get("TMUX_TMPDIR") == tmux_tmpdir else [_tmpdir_argument(tmux_tmpdir)]
    if not outer_socket:
        command = _chain(tmux, commands, separator=";")
        settings = [*terminal_argument(environ), *tmpdir]
        return ["env", *settings, *command] if settings else command
    inner = _chain(tmux, commands, separator="\\;")
    popup = ["tmux", "display-popup", "-E", "-w", "95%", "-h", "95%", "--"]
    return [*popup, "env", "-u", "TMUX", "-u", "TMUX_PANE", *tmpdir, *inner]


def terminal_argument(environ: Mapping[str, str]) -> list[str]:
    """Return the list `[TERM=…]` with a known terminal type if the machine does not know the one in `environ`, else [].

    A terminal that is newer than the machine (xterm-ghostty over ssh) nearly always understands what xterm does.
    Blocks, as `infocmp` is started.
    """
    term = environ.get("TERM", "")
    if term and can_be_drawn_on(term):
        return []
    return [f"TERM={next((name for name in STAND_INS if can_be_drawn_on(name)), STAND_INS[-1])}"]


def can_be_drawn_on(term: str) -> bool:
    """Return whether this machine knows a terminal type, and tmux can clear it and move its cursor.

    Without `infocmp` (ncurses), or if that takes over 5 s, this is not known and True is returned; tmux itself then
    reports the problem. Blocking; raises nothing.
    """
    if term.startswith("-"):
        return False
    try:
        shown = subprocess.run(
            ["infocmp", "-1", "--", term],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_INFOCMP_S,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return True
    return shown.returncode == 0 and "\tclear=" in shown.stdout and "\tcup=" in shown.stdout


def _chain(tmux: Sequence[str], commands: Sequence[Sequence[str]], *, separator: str) -> list[str]:
    argv = [*tmux]
    for number, command in enumerate(commands):
        argv += [*([separator] if number else []), *command]
    return argv


def _tmpdir_argument(tmux_tmpdir: str | None) -> str:
    return f"TMUX_TMPDIR={tmux_tmpdir or '/tmp'}"
