"""Another vendor's command-line agent, an `AgentKind` that is described by a TOML file alone (AGENT-1 to AGENT-4)."""

from __future__ import annotations

import sys

from aegis_tui.adapters.agents.native import agent_environment
from aegis_tui.domain.hosting.kind_file import KindFile
from aegis_tui.ports.agent_kind import Launch


class HostedAgent:
    """Starts the wrapper, which starts the program for each prompt.

    Args:
        name: The kind's name.
        kind: Its description.
    """

    def __init__(self, name: str, kind: KindFile) -> None:
        self._name, self._kind = name, kind

    def argv(self, launch: Launch) -> list[str]:
        """Return the command of the wrapper, the same for every launch.

        It has `-P` because it starts in a folder whose `json.py` must not be imported.
        """
        return [sys.executable, "-P", "-m", "aegis_tui.agent.hosted"]

    def environment(self, launch: Launch) -> dict[str, str]:
        """Return the variables of the wrapper, with the description of the kind; the token stays in its file."""
        return {
            **agent_environment(launch),
            "AEGIS_KIND": self._name,
            "AEGIS_KIND_FILE": self._kind.model_dump_json(exclude_defaults=True),
        }
