"""What the gateway has to show for the frozen output of `aegis-tui gateway`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from aegis_tui.domain.metrics import EngineMeters
from aegis_tui.domain.wire.gateway import ReplayedFields
from aegis_tui.gateway.endpoint import meters_of
from aegis_tui.gateway.ledger import Call, Ledger, Totals
from aegis_tui.gateway.prefixes import Prefixes

REPLAYED = {
    **dict.fromkeys(ReplayedFields.__annotations__, 1),
    **{"endpoint": "u", "model": "m"},
    "said": {"text": "x", "tool_calls": [{"name": "read", "arguments": "{}"}], "finish": "stop"},
}
"""What the model server answers when a request is sent to it again."""


def gateway_answer(_paths: object, _token: str, target: str) -> dict[str, Any]:
    """What a gateway answers that has seen the prompts of two agents."""
    if target == "/v1/prefixes":
        seen = Prefixes()
        for name in ("NATIVE-w01", "NATIVE-w02"):
            seen.note(name, "chat", {"messages": [{"role": "user", "content": name}]}, model="m")
        return dict(seen.view())
    url, meters = "http://127.0.0.1:8001/v1", meters_of([EngineMeters()], 0.0)
    answers: dict[str, dict[str, Any]] = {
        "/healthz": {"endpoints": [{"url": url, "model": "m", "healthy": True}]},
        "/v1/meters": {"metrics": meters, "endpoints": [{"url": url, "metrics": meters}]},
        "/v1/usage": {"agents": {"NATIVE-w01": Totals().view()}},
    }
    return answers[target]


def log_call(folder: Path) -> None:
    """One model call as the gateway logs it, with a call of a tool in its answer."""
    ledger, call = Ledger(folder, lambda: 1), Call("NATIVE-w01", "/v1/chat/completions", "m", stream=False)
    ledger.begin(call)
    ledger.listen(call, call.route, b"{}", [])
    tool = {"function": {"name": "read", "arguments": "{}"}}
    call.hear(json.dumps({"choices": [{"message": {"tool_calls": [tool]}}]}).encode())
    ledger.finish(call)
    ledger.close()
