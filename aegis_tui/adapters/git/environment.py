"""What the environment of an agent says to git: no prompt, no credential, no remote (GIT-6)."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

REMOTE_PROTOCOLS = ("file", "git", "ssh", "http", "https", "ext")
"""Every way git knows to reach another repository."""


def agent_git_environment() -> dict[str, str]:
    """Variables for an agent's process, under which no git it starts can reach another repository or ask for a secret.

    Its author identity is not among them: the guard of its worktree sets that, so that a test of the project that
    makes repositories of its own still commits as whom it says.
    """
    settings = {"credential.helper": "", "core.askPass": "", "gc.auto": "0", "maintenance.auto": "false"}
    numbered = {
        variable: text
        for number, (name, value) in enumerate(settings.items())
        for variable, text in ((f"GIT_CONFIG_KEY_{number}", name), (f"GIT_CONFIG_VALUE_{number}", value))
    }
    return {
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ALLOW_PROTOCOL": "none",
        "GIT_SSH_COMMAND": "false",
        "GIT_ASKPASS": "false",
        "SSH_ASKPASS": "false",
        "GIT_PAGER": "cat",
        "GIT_CONFIG_COUNT": str(len(settings)),
        **numbered,
    }


def absolute_search_path(text: str) -> str:
    """A PATH without its relative folders.

    A program is started in a worktree, and would be looked for there: `node_modules/.bin` is the agent's to fill.
    """
    return os.pathsep.join(folder for folder in text.split(os.pathsep) if folder.startswith("/")) or os.defpath


_LISTS = frozenset(
    {
        "LD_LIBRARY_PATH",
        "LD_PRELOAD",
        "LD_AUDIT",
        "DYLD_LIBRARY_PATH",
        "DYLD_FALLBACK_LIBRARY_PATH",
        "DYLD_FRAMEWORK_PATH",
        "DYLD_INSERT_LIBRARIES",
        "GCONV_PATH",
        "PYTHONPATH",
        "PERL5LIB",
        "PERLLIB",
        "RUBYLIB",
        "NODE_PATH",
    }
)
"""Variables that list places from which a program loads code as it starts."""

_PLACES = frozenset(
    {
        "HOME",
        "XDG_CONFIG_HOME",
        "TMPDIR",
        "PYTHONHOME",
        "PYTHONSTARTUP",
        "BASH_ENV",
        "ENV",
        "LOCPATH",
        "LD_DEBUG_OUTPUT",
        "GIT_CONFIG_GLOBAL",
        "GIT_CONFIG_SYSTEM",
        "GIT_EXEC_PATH",
    }
)
"""Variables that name one place: of settings, of code, or of what is written."""

_INHERITED_GIT = frozenset({"GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM", "GIT_EXEC_PATH"})
_CUT = re.compile(r"[: ]")


def without_relative_places(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment without the folders that a program would look for where it is started.

    That is a worktree, which is the agent's to fill. An empty part of a list means that folder too, as in
    `LD_LIBRARY_PATH=:/opt/lib`. Sources: ld.so(8), git(1), dyld(1).
    """
    kept: dict[str, str] = {}
    for name, value in environ.items():
        if name == "PATH":
            kept[name] = absolute_search_path(value)
        elif name in _LISTS:
            if left := _absolute_parts(name, value):
                kept[name] = left
        elif name not in _PLACES or value.startswith("/"):
            kept[name] = value
    return kept


def _absolute_parts(name: str, value: str) -> str:
    """The parts that do not depend on where a program is started; a preloaded name without `/` is the system's."""
    if name in ("LD_PRELOAD", "LD_AUDIT"):
        return ":".join(part for part in _CUT.split(value) if part and ("/" not in part or part.startswith("/")))
    return ":".join(part for part in value.split(":") if part.startswith(("/", "$ORIGIN/", "${ORIGIN}/")))


def outside_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """What a git of ours sees of an environment: nothing that points it elsewhere or that is looked for in a worktree.

    Args:
        environ: The process's own.
    """
    kept = {name: value for name, value in environ.items() if not name.startswith("GIT_") or name in _INHERITED_GIT}
    return {"PATH": os.defpath, **without_relative_places(kept)}
