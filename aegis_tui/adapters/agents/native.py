"""The built-in agent: `python -m aegis_tui.agent` (AGENT-1)."""

from __future__ import annotations

import sys

from aegis_tui.ports.agent_kind import Launch


class NativeAgent:
    """The built-in agent, an `AgentKind`. It receives prompts from the hub and reports its state to it."""

    def argv(self, launch: Launch) -> list[str]:
        """Return the command that starts the built-in agent: `python -P -m aegis_tui.agent`.

        `launch` has no effect on it.

        `-P` keeps Python from importing modules of the folder that it starts in, which an agent can write.
        """
        return [sys.executable, "-P", "-m", "aegis_tui.agent"]

    def environment(self, launch: Launch) -> dict[str, str]:
        """Return the variables of `agent_environment`: the model server, the role files, the shared context file."""
        return agent_environment(launch)


def agent_environment(launch: Launch) -> dict[str, str]:
    """Return the variables that every agent program of this package gets, the built-in one and the wrapper of others.

    They name the gateway as model server, the folder of role files, the shared context file and, if one is chosen, the
    model; and they switch off Python's output buffer and the writing of `.pyc` files.
    """
    return {
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "OPENAI_BASE_URL": launch.gateway_url,
        "AEGIS_ROLES": str(launch.roles_dir),
        "AEGIS_BRIEF_CONTEXT": str(launch.context_file),
        **({"AEGIS_MODEL": launch.model} if launch.model else {}),
    }
