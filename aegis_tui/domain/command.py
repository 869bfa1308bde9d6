"""Commands: requests to change something, from clients (contract 5) or from the hub's own services.

The core refuses a command or turns it into events. `rights` says who may send which.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ValidationError

from aegis_tui.domain.code_map.commands import MapAsk
from aegis_tui.domain.composition.commands import CompositionClientCommand, CompositionHubCommand
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
from aegis_tui.domain.rule.commands import RuleClientCommand
from aegis_tui.domain.run.commands import RunClientCommand, RunHubCommand
from aegis_tui.domain.scope.commands import ScopeClientCommand
from aegis_tui.domain.spec.commands import SpecClientCommand, SpecHubCommand
from aegis_tui.errors import UsageError


class ContextGet(CommandData):
    """Get the shared context; with `section` and its cursor `after`, the next entries of a section that was cut."""

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
    | CompositionClientCommand
    | ReviewClientCommand
    | RuleClientCommand
    | MessageClientCommand
    | MapAsk
    | ContextGet
)
HubCommand = (
    InstanceHubCommand
    | LockHubCommand
    | RunHubCommand
    | QaHubCommand
    | PieceHubCommand
    | CompositionHubCommand
    | MessageHubCommand
    | SpecHubCommand
)
AnyCommand = ClientCommand | HubCommand

_CLIENT: dict[str, type[ClientCommand]] = by_type(ClientCommand)


def loggable(command: AnyCommand, actor: Actor) -> AnyCommand:
    """Return the command with all texts encodable as UTF-8, so that it can be logged.

    Only the hub's own commands may name a file whose name is not UTF-8: a text with such a name is put into git's
    quoted form (see `write_name`) in a copy. A command of any other sender was checked on arrival and is returned as it
    is.

    Raises:
        ValidationError: Pydantic's; a quoted text is longer than its field allows.
    """
    if actor is not THE_HUB or is_encodable(command):
        return command
    return type(command).model_validate(encodable(command.model_dump()))


def parse_command(fields: dict[str, Any]) -> ClientCommand:
    """Parse a client's JSON object into the command that its `type` names.

    Commands that only the hub may send are unknown.

    Args:
        fields: The object without `v` and `request_id`.

    Raises:
        UsageError: The type is unknown, or a field is unknown, missing or invalid; the message names the first such
            field.
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
