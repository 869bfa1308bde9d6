"""The git settings in an agent's environment: no prompt, no credential, no remote (GIT-6)."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

REMOTE_PROTOCOLS = ("file", "git", "ssh", "http", "https", "ext")
"""All protocols that git can use to reach another repository."""


def agent_git_environment() -> dict[str, str]:
    """Return variables for an agent's process that keep its git from reaching other repositories or asking for secrets.

    They do not set the author: the guard of its worktree does, so that a test of the project that creates its own
    repositories still commits under the author that it sets.
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
    """Return the value of PATH without its relative folders; the system's default if no folder is left.

    A program is started in a worktree and would be searched there, in folders that the agent can fill
    (`node_modules/.bin`).
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
"""Variables with a list of places from which a program loads code when it starts."""

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
"""Variables with one place: of settings, of code, or of output."""

_INHERITED_GIT = frozenset({"GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM", "GIT_EXEC_PATH"})
_CUT = re.compile(r"[: ]")


def without_relative_places(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without places of code, settings or output that depend on where a program starts.

    It starts in a worktree, which the agent can fill. In lists such as PATH and PYTHONPATH, only absolute parts are
    kept, those that begin with `$ORIGIN/`, and plain names of libraries in LD_PRELOAD and LD_AUDIT; an empty part means
    the start folder too, as in `LD_LIBRARY_PATH=:/opt/lib`. A list with nothing left is left out; PATH is then the
    system's default. A variable with one place, such as HOME, is left out if it is relative. All other variables are
    unchanged. Sources: ld.so(8), git(1), dyld(1).
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
    """Return the parts of a list that do not depend on the start folder; empty if there are none.

    Args:
        name: The variable. In LD_PRELOAD and LD_AUDIT, a name without `/` is a system library and is kept.
        value: Its value.
    """
    if name in ("LD_PRELOAD", "LD_AUDIT"):
        return ":".join(part for part in _CUT.split(value) if part and ("/" not in part or part.startswith("/")))
    return ":".join(part for part in value.split(":") if part.startswith(("/", "$ORIGIN/", "${ORIGIN}/")))


def outside_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment for our own git commands: without what redirects git or is searched in a worktree.

    Of the variables `GIT_*`, only those of the configuration files and of git's program folder are kept, and lists
    such as PATH only with their absolute folders. PATH is always set.

    Args:
        environ: The environment of this process.
    """
    kept = {name: value for name, value in environ.items() if not name.startswith("GIT_") or name in _INHERITED_GIT}
    return {"PATH": os.defpath, **without_relative_places(kept)}
