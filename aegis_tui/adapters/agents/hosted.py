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
        """Return the command that starts the wrapper: `python -P -m aegis_tui.agent.hosted`.

        `launch` has no effect on it.

        The wrapper starts the vendor's program for each prompt. `-P` keeps Python from importing modules of the folder
        that it starts in, which an agent can write.
        """
        return [sys.executable, "-P", "-m", "aegis_tui.agent.hosted"]

    def environment(self, launch: Launch) -> dict[str, str]:
        """Return the variables of the wrapper: those of `agent_environment`, the name of the kind, and its description.

        The description is the kind's file as JSON, in AEGIS_KIND_FILE; the name is in AEGIS_KIND. The agent's token is
        not among them: it is passed in a file.
        """
        return {
            **agent_environment(launch),
            "AEGIS_KIND": self._name,
            "AEGIS_KIND_FILE": self._kind.model_dump_json(exclude_defaults=True),
        }
