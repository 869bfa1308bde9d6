import json
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from aegis_tui.testing.recorded_llm import RecordedLLM
from aegis_tui.testing.scripted_http import open_listener
from tests.connection import is_undelayed

WriteScripts = Callable[..., Path]
PROMPT = "[[script:a]] grün\u2028 \u0000 \ud7ff ; `x`\n"


@pytest.fixture
def model(write_scripts: WriteScripts) -> Iterator[RecordedLLM]:
    with closing(RecordedLLM(write_scripts(a={"steps": [{"text": "x"}]}))) as model:
        yield model


def test_every_request_is_kept_byte_for_byte_with_its_dialect(model: RecordedLLM) -> None:
    root = model.base_url.removesuffix("/v1")
    message = {"role": "user", "content": PROMPT}
    bodies = {
        "/v1/chat/completions": {"messages": [message]},
        "/v1/messages": {"max_tokens": 5, "messages": [message]},
        "/v1/messages/count_tokens": {"messages": [message]},
        "/v1/responses": {"input": PROMPT},
        "/v1beta/models/m:generateContent": {"contents": [{"parts": [{"text": PROMPT}]}]},
    }
    sent = [(path, json.dumps(body, indent=1).encode()) for path, body in bodies.items()]
    sent.append(("/v1/messages", b"{ not json"))
    with httpx.Client(base_url=root, timeout=10, trust_env=False) as client:
        statuses = [client.post(path, content=body).status_code for path, body in sent]
        assert client.get("/v1/models").status_code == 200

    assert statuses == [200] * 5 + [400]
    assert [(item.path, item.body) for item in model.received] == sent
    assert [item.dialect for item in model.received] == [
        "chat",
        "messages",
        "messages",
        "responses",
        "google",
        "messages",
    ]
    assert model.requests == 5


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/messages", {"max_tokens": 5, "messages": [{"role": "user", "content": PROMPT}]}),
        ("/v1/responses", {"input": PROMPT}),
        ("/v1beta/models/m:generateContent", {"contents": [{"parts": [{"text": PROMPT}]}]}),
    ],
)
def test_a_conversation_is_found_by_its_script_in_every_dialect(
    model: RecordedLLM, path: str, body: dict[str, object]
) -> None:
    httpx.post(model.base_url.removesuffix("/v1") + path, json=body, timeout=10, trust_env=False).raise_for_status()
    assert model.conversation("a") == [{"role": "user", "content": PROMPT}]
    assert model.conversation("b") == []


def test_chunks_of_a_reply_do_not_wait_for_acknowledgements() -> None:
    assert is_undelayed(open_listener("127.0.0.1", 0))
