"""What an instance and its run may use of the models, refused at the door when it is used up (LLM-5)."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aegis_tui.gateway.access import GatewayMap, parse_map
from aegis_tui.gateway.budget import check_budget
from aegis_tui.gateway.ledger import Call, Ledger
from aegis_tui.gateway.rejected import Rejected
from tests.gateway.conftest import OTHER_TOKEN, Gateway, ModelServer

CHAT = "/v1/chat/completions"
W1, W2, R1 = "NATIVE-w01", "NATIVE-w02", "NATIVE-r01"
RUNS = {W1: "run1", W2: "run1", R1: "run1"}


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger(tmp_path / "logs")
    yield ledger
    ledger.close()


def use(ledger: Ledger, caller: str, *, prompt: int = 0, completion: int = 0) -> None:
    call = Call(caller, CHAT, "tiny", stream=True)
    ledger.begin(call)
    call.usage.prompt_tokens, call.usage.completion_tokens = prompt, completion
    ledger.finish(call)


def check(ledger: Ledger, caller: str, *, now: float | None = None, **budget: float) -> None:
    current = GatewayMap(runs=RUNS, budget=budget)
    check_budget(caller, current, ledger, now=time.time if now is None else lambda: now)


def test_tokens_of_prompts_and_replies_count_for_the_instance(ledger: Ledger) -> None:
    use(ledger, W1, prompt=900, completion=99)
    check(ledger, W1, instance_tokens=1000)
    use(ledger, W1, completion=1)
    with pytest.raises(Rejected, match="NATIVE-w01 has used 1,000 of 1000 tokens") as refused:
        check(ledger, W1, instance_tokens=1000)
    assert (refused.value.status, refused.value.code) == (403, "budget.spent")
    check(ledger, W2, instance_tokens=1000)


def test_a_run_is_limited_by_all_its_instances_together(ledger: Ledger) -> None:
    for name in (W1, R1):
        use(ledger, name, prompt=500)
    for name in (W1, W2, R1):
        with pytest.raises(Rejected, match="run1 has used 1,000 of 1000 tokens"):
            check(ledger, name, run_tokens=1000)
    check(ledger, "CLAUDE-frontend", run_tokens=1)


def test_minutes_count_from_the_first_call_on_and_survive_a_restart(ledger: Ledger, tmp_path: Path) -> None:
    check(ledger, W1, instance_minutes=1, run_minutes=1)
    use(ledger, W1)
    began = time.time()
    ledger.close()
    for each in (ledger, Ledger(tmp_path / "logs")):
        check(each, W1, now=began + 50, instance_minutes=1)
        with pytest.raises(Rejected, match="NATIVE-w01 may call the model for 1 minutes"):
            check(each, W1, now=began + 61, instance_minutes=1)
        with pytest.raises(Rejected, match=r"run1 may call the model for 1\.5 minutes"):
            check(each, W2, now=began + 91, run_minutes=1.5)
        check(each, W2, now=began + 91, instance_minutes=1)


def test_a_spent_budget_refuses_the_next_call_in_the_words_of_every_dialect(
    gateway: Gateway, model_server: ModelServer
) -> None:
    limits: dict[str, Any] = {"runs": {W1: "run1", "CLAUDE-w02": "run1"}, "budget": {"instance_tokens": 107}}
    gateway.write_map(model_server.url, **limits)
    client = gateway.client()
    assert client.post(CHAT, json={"model": "tiny", "stream": True}).status_code == 200
    gateway.wait_for_lines(1)
    for path in (CHAT, "/v1/messages", "/v1/responses", "/v1beta/models/tiny:generateContent"):
        answer = client.post(path, json={"model": "tiny", "stream": True})
        assert answer.status_code == 403 and answer.headers["x-aegis-refused"] == "budget.spent"
        assert "NATIVE-w01 has used 107 of 107 tokens" in answer.text
    assert gateway.client(OTHER_TOKEN).post(CHAT, json={"model": "tiny", "stream": True}).status_code == 200


@pytest.mark.parametrize(
    "wrong",
    [
        {"more": "x"},
        {"more": [1]},
        {"urgencies": {"a": "x"}},
        {"runs": {"a": 1}},
        {"budget": []},
        {"budget": {"a": "x"}},
    ],
)
def test_a_map_with_a_wrong_value_is_not_taken(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_map(json.dumps(wrong).encode())


def test_the_map_names_all_servers_once_and_only_known_limits() -> None:
    fields = {
        "upstream": "http://a:1",
        "more": ["http://b:1/v1", "http://a:1/v1"],
        "budget": {"run_tokens": 5, "new": 1},
    }
    found = parse_map(json.dumps(fields).encode())
    assert found.upstreams == ["http://a:1/v1", "http://b:1/v1"]
    assert found.budget == {"run_tokens": 5}
    assert parse_map(b'{"more": ["http://b:1"]}').upstreams == []
