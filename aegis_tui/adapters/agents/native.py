"""The built-in agent: `python -m aegis_tui.agent` (AGENT-1)."""

from __future__ import annotations

import sys

from aegis_tui.ports.agent_kind import Launch


class NativeAgent:
    """The built-in agent, an `AgentKind`. It receives prompts from the hub and reports its state to it."""

    def argv(self, launch: Launch) -> list[str]:
        """Return the command of the built-in agent, the same for every launch.

        It has `-P` because it starts in a folder whose `json.py` must not be imported.
        """
        return [sys.executable, "-P", "-m", "aegis_tui.agent"]

    def environment(self, launch: Launch) -> dict[str, str]:
        """Return the variables that name the model server, the role files and the shared context file."""
        return agent_environment(launch)


def agent_environment(launch: Launch) -> dict[str, str]:
    """Return the variables of a program of this package that is an instance: the built-in agent or the wrapper."""
    return {
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "OPENAI_BASE_URL": launch.gateway_url,
        "AEGIS_ROLES": str(launch.roles_dir),
        "AEGIS_BRIEF_CONTEXT": str(launch.context_file),
        **({"AEGIS_MODEL": launch.model} if launch.model else {}),
    }
