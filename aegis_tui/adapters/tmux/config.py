"""The private server's configuration and environment, without the person's own tmux settings and without secrets."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

from aegis_tui.sdk.orphan import orphan_s

SOCKET_PATH_BYTES = 104
"""The longest unix socket path that all supported systems accept, in bytes (the limit of macOS)."""

SESSION = "aegis"
"""The session that contains the windows of all instances."""
VIEW = f"{SESSION}-view"
"""Prefix of the sessions of people who view a pane."""
HOME_WINDOW = "_home"
"""A window that keeps the session alive while no instance runs; `home.sh` runs in it."""
HOME_SCRIPT = "home.sh"

BIRTH_WIDTH, BIRTH_HEIGHT = 200, 50
"""Initial size of a window in cells, while nobody views it; some programs never redraw for another size."""
DETACH_KEYS = "C-] d"
"""The keys that detach from a pane."""

_KEPT_VARIABLES = ("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_ALL", "LC_CTYPE", "TMUX_TMPDIR", "TMPDIR")
_OURS = frozenset({"AEGIS_STATE_DIR", "AEGIS_ORPHAN_S"})

# client-detached: ends the views that nobody uses any longer. The option destroy-unattached is meant for that, but with
# it the server crashes when another client ends while one is being detached (tmux 3.3a).
# assume-paste-time: keys that arrive together over a slow line are keys; with tmux's 1 ms the detach key would be text.
_UNSEEN = f"#{{&&:#{{m:{VIEW}-*,#{{session_name}}}},#{{==:#{{session_attached}},0}}}}"
_END_VIEWS = f"#{{S:#{{?{_UNSEEN},kill-session -t '=#{{session_name}}' ; ,}}}}"
_CONFIG = f"""\
# Written by aegis-tui at every start; changes here are lost.
set -sq escape-time 10
set -sq set-clipboard off
set -gq default-terminal tmux-256color
set -gq default-size {BIRTH_WIDTH}x{BIRTH_HEIGHT}
set -gq update-environment ''
set -gq history-limit 20000
set -gq mouse on
set -gq bell-action none
set -gq assume-paste-time 0
set-hook -g client-detached {{ run-shell -C "{_END_VIEWS}" }}
set -gq prefix C-]
set -gq prefix2 None
set -gq status off
set -gq status-interval 0
set -gq status-format[0] ' #{{window_name}}   {DETACH_KEYS}: back   C-] n/p: next, previous   C-] [: scroll '
setw -gq window-size latest
setw -gq aggressive-resize on
setw -gq remain-on-exit on
setw -gq allow-passthrough off
setw -gq allow-rename off
setw -gq automatic-rename off
unbind-key -a -T prefix
bind-key C-] send-prefix
bind-key d detach-client
bind-key n next-window \\; if-shell -F '#{{==:#{{window_name}},{HOME_WINDOW}}}' next-window
bind-key p previous-window \\; if-shell -F '#{{==:#{{window_name}},{HOME_WINDOW}}}' previous-window
bind-key [ copy-mode
bind-key PPage copy-mode -u
unbind-key -q -T root MouseDown3Pane
unbind-key -q -T root M-MouseDown3Pane
unbind-key -q -T root MouseDown3Status
unbind-key -q -T root MouseDown3StatusLeft
unbind-key -q -T root MouseDown3StatusRight
"""


def write_config(folder: Path) -> Path:
    """Write tmux's configuration and the home window's script to a folder; return the path of the configuration.

    The files get mode 0600; the folder is created with mode 0700 if it is missing.

    Raises:
        OSError: They cannot be written.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    script = resources.files("aegis_tui.adapters.tmux").joinpath(HOME_SCRIPT).read_text("utf-8")
    _put(folder / HOME_SCRIPT, script)
    return _put(folder / "tmux.conf", _CONFIG)


def _put(path: Path, text: str) -> Path:
    """Replace a file by one with this text, in one step, and return its path: a shell may still read the old one.

    The new file has mode 0600.

    Raises:
        OSError: It cannot be written.
    """
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, delete=False) as file:
        file.write(text)
    return Path(file.name).replace(path)


def home_command(folder: Path, environment: Mapping[str, str]) -> list[str]:
    """Return the command that keeps the session alive, and that ends the server once its hub is gone for long enough.

    Args:
        folder: Holds the script that the command runs.
        environment: AEGIS_ORPHAN_S in it says how long (see `orphan_s`); AEGIS_STATE_DIR where the hub's lock file is,
            by default in `folder`.

    Raises:
        UsageError: AEGIS_ORPHAN_S is not a number.
    """
    limit_s = int(orphan_s(environment))
    lock = Path(environment.get("AEGIS_STATE_DIR") or folder) / "hub.lock"
    return ["/bin/sh", str(folder / HOME_SCRIPT), str(lock), str(limit_s)]


def socket_of(folder: str | None, socket_name: str) -> Path:
    """Return the path of a tmux socket, by tmux's rule (tmux(1), `-L`); the socket may not exist.

    Args:
        folder: The value of TMUX_TMPDIR; None or empty for `/tmp`.
        socket_name: The name of the socket.
    """
    return Path(folder or "/tmp") / f"tmux-{os.getuid()}" / socket_name


def folder_problem(folder: str | None, socket_name: str) -> str | None:
    """Return, in words, why tmux could not create its socket below TMUX_TMPDIR; None if it can.

    tmux itself fails on a path that is too long only after it has reported that the server runs.

    Args:
        folder: The value of TMUX_TMPDIR; if it is not set or empty, there is no problem.
        socket_name: The name of the socket.
    """
    if not folder:
        return None
    length = len(os.fsencode(socket_of(folder, socket_name)))
    if length >= SOCKET_PATH_BYTES:
        return f"TMUX_TMPDIR is too long: its socket paths have {length} bytes, at most {SOCKET_PATH_BYTES - 1} work"
    if not Path(folder).is_dir():
        return f"TMUX_TMPDIR names {folder}, which is not a folder"
    if not os.access(folder, os.W_OK | os.X_OK):
        return f"TMUX_TMPDIR names {folder}, which you cannot write to"
    return None


def with_usable_folder(environment: Mapping[str, str], socket_name: str) -> dict[str, str]:
    """Return a copy of the environment, without a TMUX_TMPDIR in which no socket can be created: tmux then uses `/tmp`.

    Args:
        environment: The environment; not changed.
        socket_name: The name of the socket.
    """
    if folder_problem(environment.get("TMUX_TMPDIR"), socket_name) is None:
        return dict(environment)
    return {name: value for name, value in environment.items() if name != "TMUX_TMPDIR"}


def server_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the few variables that the server, and so every pane, may see.

    These are PATH, HOME, the person's name and shell, the locale, the folders of tmux and of temporary files, the XDG
    folders, and AEGIS_STATE_DIR and AEGIS_ORPHAN_S, as far as they are set; and TERM. The locale is always UTF-8. No
    token, no ssh agent socket and no other tmux is included. `aegis-tui pane-exec` needs `AEGIS_STATE_DIR`, which is
    only a path.
    """
    kept = {
        name: value
        for name, value in environment.items()
        if name in _KEPT_VARIABLES or name.startswith("XDG_") or name in _OURS
    }
    kept.setdefault("PATH", os.defpath)
    kept["TERM"] = "xterm-256color"
    effective = kept.get("LC_ALL") or kept.get("LC_CTYPE") or kept.get("LANG") or ""
    if "utf" not in effective.lower():
        kept.pop("LC_ALL", None)
        kept.pop("LC_CTYPE", None)
        kept["LANG"] = "en_US.UTF-8" if sys.platform == "darwin" else "C.UTF-8"
    return kept
