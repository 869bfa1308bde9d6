"""The contract with other programs as text, for files and for programs that start no hub (HUB-3, contract 9)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal, get_args

from aegis_tui.adapters.store.sqlite_log import SqliteEventLog
from aegis_tui.bootstrap.contract_commands import commands
from aegis_tui.hub import schema
from aegis_tui.hub.engine import Engine
from aegis_tui.hub.fanout import Fanout
from aegis_tui.hub.identity import Identity
from aegis_tui.hub.ingress import Ingress
from aegis_tui.hub.rest import rest_routes
from aegis_tui.sdk.clock import SystemClock
from aegis_tui.sdk.discovery import WorkspacePaths

Contract = Literal["openapi", "asyncapi", "commands"]
CONTRACTS: tuple[Contract, ...] = get_args(Contract)


def contract_text(which: Contract) -> str:
    """Return a document as indented JSON with sorted keys: `openapi` and `asyncapi` as the hub serves them, `commands`.

    Opens no file and no socket.
    """
    if which == "commands":
        return _text(commands())
    document = schema.asyncapi()
    if which == "openapi":
        nowhere = Path("/nonexistent")
        engine = Engine(SqliteEventLog(nowhere), SystemClock())
        identity = Identity(engine, "", b"")
        ingress = Ingress(engine, identity, WorkspacePaths("", nowhere, nowhere))
        document = schema.openapi(rest_routes(engine=engine, identity=identity, ingress=ingress, fanout=Fanout(engine)))
    return _text(document)


def _text(document: object) -> str:
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
