"""The private server's configuration and environment: nothing of the person's own tmux, nothing secret."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

SOCKET_PATH_BYTES = 104
"""The longest path of a unix socket that every supported system takes (macOS)."""

SESSION = "aegis"
"""The session that holds every instance's window."""
VIEW = f"{SESSION}-view"
"""The sessions of people who look at a pane begin with this."""
HOME_WINDOW = "_home"
"""A window that keeps the session alive when no instance runs; `home.sh` runs in it."""
HOME_SCRIPT = "home.sh"
ORPHAN_S = "600"
"""How long the server waits for a hub when AEGIS_ORPHAN_S does not say, in seconds."""
BIRTH_WIDTH, BIRTH_HEIGHT = 200, 50
"""Size in cells of a window that nobody looks at; some programs never redraw for another."""
DETACH_KEYS = "C-] d"
"""What a person presses to leave an attached pane."""

_KEPT_VARIABLES = ("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_ALL", "LC_CTYPE", "TMUX_TMPDIR", "TMPDIR")
_OURS = frozenset({"AEGIS_STATE_DIR", "AEGIS_ORPHAN_S"})

# client-detached: ends the views that nobody looks at any more. The option destroy-unattached is for that, but with it
# the server crashes when any other client ends while one is being detached (tmux 3.3a).
# assume-paste-time: keys that a slow line brings together are keys; with tmux's 1 ms the detach key among them is text.
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
    """Write the configuration file and the home window's script, 0600 in a 0700 folder; returns the file's path."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    script = resources.files("aegis_tui.adapters.tmux").joinpath(HOME_SCRIPT).read_text("utf-8")
    _put(folder / HOME_SCRIPT, script)
    return _put(folder / "tmux.conf", _CONFIG)


def _put(path: Path, text: str) -> Path:
    """Put a file in place in one step: a shell may still be reading the one before."""
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, delete=False) as file:
        file.write(text)
    return Path(file.name).replace(path)


def home_command(folder: Path, environment: Mapping[str, str]) -> list[str]:
    """What runs in the home window of the server whose files are in `folder`."""
    limit_s = int(float(environment.get("AEGIS_ORPHAN_S") or ORPHAN_S))
    lock = Path(environment.get("AEGIS_STATE_DIR") or folder) / "hub.lock"
    return ["/bin/sh", str(folder / HOME_SCRIPT), str(lock), str(limit_s)]


def socket_of(folder: str | None, socket_name: str) -> Path:
    """Where tmux keeps a socket, by its own rule (tmux(1), `-L`); `folder` is TMUX_TMPDIR."""
    return Path(folder or "/tmp") / f"tmux-{os.getuid()}" / socket_name


def folder_problem(folder: str | None, socket_name: str) -> str | None:
    """Why tmux could not make that socket below TMUX_TMPDIR; None where it can, or where the variable is not set.

    tmux itself gives up on a path that is too long only after it has said that the server runs.
    """
    if not folder:
        return None
    length = len(os.fsencode(socket_of(folder, socket_name)))
    if length >= SOCKET_PATH_BYTES:
        return f"TMUX_TMPDIR is too long: its sockets have paths of {length} bytes, and {SOCKET_PATH_BYTES - 1} may be"
    if not Path(folder).is_dir():
        return f"TMUX_TMPDIR names {folder}, which is no folder"
    if not os.access(folder, os.W_OK | os.X_OK):
        return f"TMUX_TMPDIR names {folder}, which you cannot write"
    return None


def with_usable_folder(environment: Mapping[str, str], socket_name: str) -> dict[str, str]:
    """The environment without a TMUX_TMPDIR that no socket can be made in: `/tmp` is used then."""
    if folder_problem(environment.get("TMUX_TMPDIR"), socket_name) is None:
        return dict(environment)
    return {name: value for name, value in environment.items() if name != "TMUX_TMPDIR"}


def server_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The few variables that the server, and so every pane, may see.

    UTF-8 whatever the person's locale is; no token, no agent socket, no other tmux. `AEGIS_STATE_DIR` is a path that
    `aegis-tui pane-exec` needs.
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
