"""What the environment of an agent says to git: no prompt, no credential, no remote (GIT-6)."""

from __future__ import annotations

import os

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
