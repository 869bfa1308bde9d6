"""Commands: what a client may ask of the hub (contract 5), and what only the hub itself may say.

A command is a wish; the core refuses it or turns it into events. `rights` says who
may wish what.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ValidationError

from aegis_tui.domain.decision import THE_HUB, Actor
from aegis_tui.domain.field import Key, Name
from aegis_tui.domain.instance.commands import InstanceClientCommand, InstanceHubCommand
from aegis_tui.domain.lock.commands import LockClientCommand, LockHubCommand
from aegis_tui.domain.message.commands import MessageClientCommand, MessageHubCommand
from aegis_tui.domain.model import CommandData, by_type, is_encodable
from aegis_tui.domain.path.file_name import encodable
from aegis_tui.domain.piece.commands import PieceClientCommand, PieceHubCommand
from aegis_tui.domain.qa.commands import QaClientCommand, QaHubCommand
from aegis_tui.domain.review.commands import ReviewClientCommand
from aegis_tui.domain.run.commands import RunClientCommand, RunHubCommand
from aegis_tui.domain.scope.commands import ScopeClientCommand
from aegis_tui.domain.spec.commands import SpecClientCommand
from aegis_tui.errors import UsageError


class ContextGet(CommandData):
    """The shared context as it is now; with `section`, more of one that was cut, after its cursor."""

    type: Literal["context:get"] = "context:get"
    section: Name | None = None
    after: Key | None = None


ClientCommand = (
    InstanceClientCommand
    | LockClientCommand
    | ScopeClientCommand
    | SpecClientCommand
    | RunClientCommand
    | QaClientCommand
    | PieceClientCommand
    | ReviewClientCommand
    | MessageClientCommand
    | ContextGet
)
HubCommand = InstanceHubCommand | LockHubCommand | RunHubCommand | QaHubCommand | PieceHubCommand | MessageHubCommand
AnyCommand = ClientCommand | HubCommand

_CLIENT: dict[str, type[ClientCommand]] = by_type(ClientCommand)


def loggable(command: AnyCommand, actor: Actor) -> AnyCommand:
    """The command without text that UTF-8 cannot carry, which the hub's own may hold (a file name in a refusal).

    What clients send was checked when it came in.
    """
    if actor is not THE_HUB or is_encodable(command):
        return command
    return type(command).model_validate(encodable(command.model_dump()))


def parse_command(fields: dict[str, Any]) -> ClientCommand:
    """The command that a client's JSON object stands for; hub-only commands cannot be spelled this way.

    Args:
        fields: The object without `v` and `request_id`.

    Raises:
        UsageError: Unknown type, unknown or missing field, or a value of the wrong shape; the message names the field.
    """
    name = fields.get("type")
    model = _CLIENT.get(name) if isinstance(name, str) else None
    if model is None:
        raise UsageError(f"type: there is no command {str(name)[:60]!r}", "see /openapi.json")
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "fields"
        raise UsageError(f"{name}: {where}: {first['msg']}", "see /openapi.json") from error
