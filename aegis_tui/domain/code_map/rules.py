"""The rule of the question to the code map: its answer is in the command, since the core reads no files."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from aegis_tui.domain.code_map.commands import MapAsk
from aegis_tui.domain.decision import Actor, Decision
from aegis_tui.domain.registry import Rules
from aegis_tui.domain.wire.reply import MapReply
from aegis_tui.domain.workspace import Workspace
from aegis_tui.errors import HubUnavailable


def map_ask(workspace: Workspace, command: MapAsk, actor: Actor, request_id: str) -> Decision:
    """Return the answer that the hub has put into the command, as the reply; no events.

    Raises:
        HubUnavailable: The command has no answer, as this hub has no code map.
    """
    if command.answer is None:
        raise HubUnavailable("this hub has no code map", "search the files instead")
    return Decision([], MapReply(answer=command.answer))


RULES: Final[Rules] = MappingProxyType({MapAsk: map_ask})
"""The function that decides each type of command."""
