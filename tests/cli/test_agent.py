"""`agent --acp` from the editor's first line to its last, through hub, gateway and model (AGENT-3)."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cli.test_connect import Desk, open_desk
from tests.gateway.conftest import open_model_server, streamed

ANSWER = (
    b'data: {"choices":[{"index":0,"delta":{"role":"assistant","content":"Good morning."}}]}\n\n'
    b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
)


@pytest.fixture
def desk() -> Iterator[Desk]:
    with open_model_server() as model, open_desk(AEGIS_BASE_URL=model.url) as found:
        model.answers["/v1/chat/completions"] = lambda _: streamed(ANSWER)
        yield found


def test_without_a_protocol_it_is_wrong_usage(desk: Desk) -> None:
    assert desk.aegis("agent").code == 2


def test_an_editor_gets_an_answer_and_the_agent_leaves_with_it(desk: Desk) -> None:
    process = subprocess.Popen(
        desk.argv("agent", "--acp", "--partition", "src/**"),
        cwd=desk.root,
        env=desk.environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdin and process.stdout

    updates: list[dict[str, Any]] = []

    def ask(number: int, method: str, **params: Any) -> Any:
        assert process.stdin and process.stdout
        request = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
        process.stdin.write(json.dumps(request) + "\n")
        process.stdin.flush()
        while True:
            message = json.loads(process.stdout.readline())
            if message.get("id") == number:
                assert "result" in message, message
                return message["result"]
            updates.append(message["params"]["update"])

    assert ask(1, "initialize", protocolVersion=1, clientCapabilities={})["protocolVersion"] == 1
    session = ask(2, "session/new", cwd=str(desk.root), mcpServers=[])["sessionId"]
    prompt = [{"type": "text", "text": "Hello."}]
    assert ask(3, "session/prompt", sessionId=session, prompt=prompt) == {"stopReason": "end_turn"}
    assert "Good morning." in "".join(item["content"]["text"] for item in updates)
    assert desk.instance("editor")["state"] == "idle"
    _, said = process.communicate(timeout=30)
    assert process.returncode == 0, said
