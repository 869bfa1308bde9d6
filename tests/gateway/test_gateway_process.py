"""The gateway as a process: who may come in, what it tells about itself, how it starts and ends."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import AsyncIterator

import httpx
import psutil
import pytest

from aegis_tui.gateway.run import listen_tcp
from aegis_tui.sdk.discovery import process_start_time
from tests.connection import is_undelayed
from tests.gateway.conftest import (
    METRICS,
    OTHER_TOKEN,
    PERSON_TOKEN,
    STREAM_HEAD,
    TOKEN,
    Gateway,
    ModelServer,
    Seen,
    chunked,
    digest,
    until,
    whole,
)

CHAT = "/v1/chat/completions"


def test_what_it_publishes_is_true_and_for_the_owner_only(gateway: Gateway) -> None:
    facts = gateway.published

    assert gateway.process is not None
    assert facts["pid"] == gateway.process.pid
    assert facts["start_time"] == process_start_time(facts["pid"])
    for name in ("gateway.json", "gateway.sock", "gateway.lock"):
        assert stat.S_IMODE((gateway.runtime / name).stat().st_mode) == 0o600, name
    listening = [link.laddr for link in psutil.Process(facts["pid"]).net_connections("inet") if link.status == "LISTEN"]
    assert [(address.ip, f"http://127.0.0.1:{address.port}") for address in listening] == [("127.0.0.1", facts["url"])]


def test_without_a_token_nothing_is_served(gateway: Gateway, model_server: ModelServer) -> None:
    paths = {CHAT: "POST", "/v1/messages": "POST", "/v1/responses": "POST"}
    paths |= dict.fromkeys(("/v1/models", "/v1/usage", "/v1/meters", "/metrics", "/nothing"), "GET")
    for token in ("0", "f" * 64, digest(TOKEN), TOKEN + "0", "gr\u00fc\u00df"):
        client = gateway.client("")
        for path, method in paths.items():
            answer = client.request(method, path, headers={b"authorization": f"Bearer {token}".encode("latin-1")})
            assert answer.status_code == 401, (path, token)
            assert answer.json()["error"]["type"] == "authentication_error"
            assert (answer.json().get("type") == "error") == (path == "/v1/messages")
    assert gateway.client("").get("/v1/models").status_code == 401
    assert {item.path for item in model_server.seen} <= {"/v1/models", "/version"}  # asked by the gateway itself


def test_an_api_key_header_is_as_good_as_a_bearer_token(gateway: Gateway) -> None:
    answer = gateway.client("").post("/v1/messages", json={"model": "tiny"}, headers={"x-api-key": TOKEN})

    assert answer.status_code == 200


def test_a_page_in_a_browser_gets_nothing(gateway: Gateway) -> None:
    client = gateway.client(tcp=True)
    foreign = ({"Origin": "http://evil.example"}, {"Origin": "null"}, {"Host": "evil.example"}, {"Host": "127.0.0.1:1"})
    for headers in foreign:
        assert client.get("/healthz", headers=headers).status_code == 403, headers
    assert client.get("/healthz", headers={"Origin": gateway.published["url"]}).status_code == 200
    assert gateway.client().get("/healthz", headers={"Origin": "http://gateway"}).status_code == 403


def test_a_changed_map_holds_at_once_and_a_lost_one_stays(gateway: Gateway, model_server: ModelServer) -> None:
    client = gateway.client("d4" * 32)
    assert client.get("/v1/models").status_code == 401
    gateway.write_map(model_server.url, instances={digest("d4" * 32): "NATIVE-w09"})
    assert client.get("/v1/models").status_code == 200
    assert gateway.client(TOKEN).get("/v1/models").status_code == 401
    (gateway.runtime / "gateway-map.json").write_text("{ torn", encoding="utf-8")
    assert client.get("/v1/models").status_code == 200
    (gateway.runtime / "gateway-map.json").unlink()
    assert client.get("/v1/models").status_code == 200


def test_a_body_that_is_no_json_object_is_refused(gateway: Gateway) -> None:
    client = gateway.client()
    for body in (b"{", b"[1]", b"\xff{}", b"[" * 100_000, b"", '{"model":"x"}'.encode("utf-16")):
        assert client.post(CHAT, content=body).status_code == 400, body[:10]


def test_a_body_over_32_mib_is_refused_declared_or_not(gateway: Gateway, model_server: ModelServer) -> None:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(gateway.runtime / "gateway.sock"))
        head = b"POST /v1/responses HTTP/1.1\r\nHost: g\r\nx-api-key: %s\r\nContent-Length: %d\r\n\r\n"
        client.sendall(head % (TOKEN.encode(), 32 * 1024 * 1024 + 1))
        assert client.recv(100).startswith(b"HTTP/1.1 413")
    pieces = (b" " * 1024 * 1024 for _ in range(34))
    with contextlib.suppress(httpx.WriteError, httpx.ReadError):
        assert gateway.client().post(CHAT, content=pieces).status_code == 413
    assert not model_server.calls(CHAT)


def test_a_path_that_it_does_not_know_is_not_passed_on(gateway: Gateway, model_server: ModelServer) -> None:
    client = gateway.client()

    assert client.post("/sleep").status_code == 404
    assert client.post("/v1/../sleep").status_code == 404
    assert client.get(CHAT).status_code == 405
    assert not model_server.calls("/sleep")


def test_health_names_the_endpoint_its_model_and_whether_it_answers(
    gateway: Gateway, model_server: ModelServer
) -> None:
    healthy = gateway.client("").get("/healthz").json()
    assert healthy["endpoints"] == [{"url": f"{model_server.url}/v1", "model": "tiny", "healthy": True}]
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{held.getsockname()[1]}/v1"
        gateway.write_map(url)
        dead = gateway.client("").get("/healthz").json()
    assert dead["endpoints"] == [{"url": url, "model": None, "healthy": False}]
    gateway.write_map("")
    assert gateway.client("").get("/healthz").json()["endpoints"] == []


def test_usage_is_everybodys_for_the_person_and_ones_own_for_an_instance(gateway: Gateway) -> None:
    for token in (TOKEN, TOKEN, OTHER_TOKEN):
        gateway.client(token).post(CHAT, json={"model": "tiny", "stream": True})
    gateway.wait_for_lines(3)
    everybody = gateway.client(PERSON_TOKEN).get("/v1/usage").json()["agents"]
    own = gateway.client(OTHER_TOKEN).get("/v1/usage").json()["agents"]

    assert {name: usage["requests"] for name, usage in everybody.items()} == {"NATIVE-w01": 2, "CLAUDE-w02": 1}
    assert everybody["NATIVE-w01"]["prompt_tokens"] == 200
    assert everybody["NATIVE-w01"]["cached_tokens"] == 128
    assert everybody["NATIVE-w01"]["running"] == everybody["NATIVE-w01"]["errors"] == 0
    assert own == {"CLAUDE-w02": everybody["CLAUDE-w02"]}
    assert gateway.client(PERSON_TOKEN, tcp=True).get("/v1/usage").status_code == 404
    counters = gateway.client().get("/metrics").text.splitlines()
    assert 'aegis_gateway_requests_total{agent_id="NATIVE-w01"} 2' in counters


def test_usage_and_port_survive_a_restart(gateway: Gateway) -> None:
    gateway.client().post(CHAT, json={"model": "tiny", "stream": True})
    gateway.wait_for_lines(1)
    before = gateway.published
    assert gateway.stop() == 0
    assert not (gateway.runtime / "gateway.sock").exists()
    with (gateway.state / "logs" / "model-calls.jsonl").open("a") as file:
        file.write("[" * 100_000 + "\n")
        file.write('{"agent_id": "NATIVE-w01", "completion_tokens": 7, "cached_tokens": Infinity}\n')
        file.write('{"agent_id": "NATIVE-w01", "completion_tokens": 7, "ttft_s": "soon"}\n')
        file.write('{"agent_id": "NATIVE-w01", "torn')
    gateway.start()

    assert gateway.published["url"] == before["url"]
    usage = gateway.client(PERSON_TOKEN).get("/v1/usage").json()["agents"]
    assert (usage["NATIVE-w01"]["requests"], usage["NATIVE-w01"]["completion_tokens"]) == (1, 7)


def test_meters_are_rates_and_are_asked_for_once_however_many_ask(gateway: Gateway, model_server: ModelServer) -> None:
    expected: dict[str, float | None]
    answers: list[dict[str, float | None]] = []
    client = gateway.client()
    threads = [
        threading.Thread(target=lambda: answers.append(client.get("/v1/meters").json()["metrics"])) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    expected = {"running": 3, "waiting": 1, "kv_cache": 0.25, "prefix_hit_rate": 0.75}
    expected |= {"tokens_per_s": None, "ttft_s": None}
    assert answers == [expected] * 8
    assert len(model_server.calls("/metrics")) == 1

    model_server.answers["/metrics"] = lambda _: whole(METRICS.replace("1000.0", "1600.0").encode())
    until(lambda: client.get("/v1/meters").json()["metrics"]["tokens_per_s"], "a second reading", timeout_s=5)
    speed = client.get("/v1/meters").json()["metrics"]["tokens_per_s"]
    assert 100 < speed <= 300
    assert len(model_server.calls("/metrics")) == 2


def test_a_second_gateway_leaves_the_first_alone(gateway: Gateway) -> None:
    argv = [sys.executable, "-m", "aegis_tui.gateway", "--runtime", str(gateway.runtime), "--state", str(gateway.state)]
    second = subprocess.run(argv, capture_output=True, text=True, timeout=20, check=False)

    assert second.returncode == 5
    assert "another gateway" in second.stderr
    assert gateway.client().get("/v1/models").status_code == 200


def test_a_killed_gateway_is_replaced(gateway: Gateway) -> None:
    assert gateway.process is not None
    gateway.process.kill()
    gateway.process.wait(10)
    assert (gateway.runtime / "gateway.sock").exists()
    gateway.start()

    assert gateway.client().get("/v1/models").status_code == 200


def test_it_ends_when_nobody_can_find_it_any_more(gateway: Gateway) -> None:
    assert gateway.process is not None
    (gateway.runtime / "gateway.json").unlink()

    assert gateway.process.wait(10) == 0


def test_it_ends_when_its_hub_has_been_gone_for_as_long_as_agents_wait(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is no hub in these tests at all: without a limit of a second it would wait for ten minutes."""
    gateway.stop()
    monkeypatch.setenv("AEGIS_ORPHAN_S", "1")
    gateway.start()

    assert gateway.process is not None
    assert gateway.process.wait(20) == 0
    assert not (gateway.runtime / "gateway.sock").exists()


@pytest.mark.parametrize("text", ["ten minutes", "600s"])
def test_without_a_number_of_seconds_to_wait_it_does_not_start(
    gateway_folders: Gateway, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("AEGIS_ORPHAN_S", text)
    folders = ["--runtime", str(gateway_folders.runtime), "--state", str(gateway_folders.state)]
    argv = [sys.executable, "-m", "aegis_tui.gateway", *folders]
    refused = subprocess.run(argv, capture_output=True, text=True, timeout=20, check=False)

    assert refused.returncode == 2
    assert f"AEGIS_ORPHAN_S is {text!r}" in refused.stderr
    assert not gateway_folders.published


def test_a_wait_that_is_no_limit_at_all_counts_as_the_shortest(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway.stop()
    monkeypatch.setenv("AEGIS_ORPHAN_S", "nan")
    gateway.start()

    assert gateway.process is not None
    assert gateway.process.wait(20) == 0


def test_without_callers_it_ends_soon_after_its_hub(gateway_folders: Gateway) -> None:
    gateway_folders.write_map("", instances={})
    gateway_folders.start(
        numbers={"aegis_tui.gateway.run:_UNUSED_S": 0.3, "aegis_tui.gateway.run:_FOLDER_CHECK_S": 0.1}
    )

    assert gateway_folders.process is not None
    assert gateway_folders.process.wait(20) == 0


def test_its_port_survives_an_end_that_removes_its_record(gateway: Gateway) -> None:
    before = gateway.published["url"]
    gateway.stop()
    (gateway.runtime / "gateway.json").unlink()
    gateway.start()

    assert gateway.published["url"] == before
    assert stat.S_IMODE((gateway.state / "gateway.port").stat().st_mode) == 0o600


def test_a_folder_that_is_open_to_others_is_refused(gateway_folders: Gateway) -> None:
    gateway_folders.runtime.chmod(0o755)
    folders = ["--runtime", str(gateway_folders.runtime), "--state", str(gateway_folders.state)]
    argv = [sys.executable, "-m", "aegis_tui.gateway", *folders]
    refused = subprocess.run(argv, capture_output=True, text=True, timeout=20, check=False)

    assert refused.returncode == 3
    assert "chmod 700" in refused.stderr


def test_a_stop_ends_streams_within_seconds_and_not_as_if_they_were_complete(
    gateway: Gateway, model_server: ModelServer
) -> None:
    async def endless(_: Seen) -> AsyncIterator[bytes]:
        yield STREAM_HEAD
        while True:
            yield chunked(b"data: {}\n\n")
            await asyncio.sleep(0.02)

    model_server.answers[CHAT] = endless
    with gateway.client().stream("POST", CHAT, json={"model": "tiny", "stream": True}) as answer:
        parts = answer.iter_raw()
        assert next(parts).startswith(b"data: {}")
        assert gateway.stop() == 0
        with pytest.raises(httpx.RemoteProtocolError):
            b"".join(parts)
    until(lambda: model_server.hung_up, "the model server sees the end")


def test_tokens_over_tcp_do_not_wait_for_acknowledgements() -> None:
    assert is_undelayed(listen_tcp(0))
