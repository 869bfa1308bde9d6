"""The variables that lead programs of every dialect to the gateway (contract 10)."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from aegis_tui.sdk import gateway
from aegis_tui.sdk.discovery import WorkspacePaths, process_start_time
from aegis_tui.sdk.gateway import model_environment, wait_for_gateway

URL = "http://127.0.0.1:4000"


def test_each_dialect_gets_its_url_and_the_token_as_key() -> None:
    found = model_environment({"PATH": "/bin", "OPENAI_API_KEY": "sk-own"}, URL, "t0")
    assert found == {
        "PATH": "/bin",
        "OPENAI_BASE_URL": f"{URL}/v1",
        "OPENAI_API_BASE": f"{URL}/v1",
        "ANTHROPIC_BASE_URL": URL,
        "GOOGLE_GEMINI_BASE_URL": URL,
        **dict.fromkeys(("OPENAI_API_KEY", "ANTHROPIC_AUTH_TOKEN", "GEMINI_API_KEY"), "t0"),
    }


def test_keys_that_programs_prefer_are_left_out() -> None:
    found = model_environment({"ANTHROPIC_API_KEY": "sk-ant", "GOOGLE_API_KEY": "AIza"}, URL, "t0")
    assert "ANTHROPIC_API_KEY" not in found and "GOOGLE_API_KEY" not in found


@pytest.mark.parametrize(("before", "after"), [({}, None), ({"NO_PROXY": "corp"}, "corp,127.0.0.1,localhost")])
def test_a_proxy_is_told_to_leave_the_gateway_alone(before: dict[str, str], after: str | None) -> None:
    proxied = model_environment({**before, "HTTPS_PROXY": "http://proxy:1"}, URL, "t0")
    assert proxied["no_proxy"] == proxied["NO_PROXY"] == (after or "127.0.0.1,localhost")
    assert model_environment(before, URL, "t0").get("NO_PROXY") == before.get("NO_PROXY")


@pytest.fixture
def publish(tmp_path: Path) -> Callable[..., WorkspacePaths]:
    """Writes a hub.json of this process, which runs."""

    def write(**fields: object) -> WorkspacePaths:
        pid = os.getpid()
        address = {"pid": pid, "start_time": process_start_time(pid), "url": "u", "socket": "s", "token": "t"}
        (tmp_path / "hub.json").write_text(json.dumps({**address, **fields}))
        return WorkspacePaths("0" * 12, tmp_path / "state", tmp_path)

    return write


def test_a_gateway_that_cannot_start_is_not_waited_for(publish: Callable[..., WorkspacePaths]) -> None:
    found = wait_for_gateway(publish(gateway_problem="no port"), "t0", timeout_s=60)
    assert (found.url, found.problem) == (None, "no port")


def test_the_wait_has_an_end(publish: Callable[..., WorkspacePaths]) -> None:
    found = wait_for_gateway(publish(), "t0", timeout_s=0.1)
    assert found.url is None and "0.1 s" in found.problem


def test_a_gateway_is_used_only_once_it_knows_the_token(
    publish: Callable[..., WorkspacePaths], monkeypatch: pytest.MonkeyPatch
) -> None:
    known = threading.Event()
    monkeypatch.setattr(gateway, "_knows", lambda socket, token: (socket, token) == ("g.sock", "t0") and known.is_set())
    threading.Timer(0.2, known.set).start()
    found = wait_for_gateway(publish(gateway_url=URL, gateway_socket="g.sock"), "t0", timeout_s=10)
    assert known.is_set() and (found.url, found.problem) == (URL, "")
