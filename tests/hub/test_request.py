"""A body means one thing to every reader, or it is refused (HUB-9, RFC 8259)."""

from __future__ import annotations

import asyncio
import http.client
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aegis_tui.bootstrap.bare_hub import open_hub
from aegis_tui.domain.command import parse_command
from aegis_tui.domain.model import MAX_INT
from aegis_tui.errors import UsageError
from aegis_tui.hub.request import check_numbers, parse_json, parse_request
from aegis_tui.sdk.discovery import WorkspacePaths
from aegis_tui.sdk.quick import HubAddress, HubQuick

ACK = '{"type": "ack", "of": 1}'
ODD: dict[str, bytes] = {
    "a byte order mark": b"\xef\xbb\xbf" + ACK.encode(),
    "UTF-16": ACK.encode("utf-16"),
    "UTF-16 without a mark": ACK.encode("utf-16-le"),
    "UTF-32": ACK.encode("utf-32"),
    "Latin-1": '{"type": "message:send", "to": "é", "text": "x"}'.encode("latin-1"),
    "an overlong form": b'{"type": "\xc0\xafack"}',
    "NaN": b'{"type": "agent:report", "state": "idle", "progress": NaN}',
    "Infinity": b'{"type": "lock:acquire", "path": "a", "ttl_s": -Infinity}',
    "a float without end": b'{"type": "lock:acquire", "path": "a", "ttl_s": 1e999}',
    "a key twice": b'{"type": "ack", "of": 1, "of": 2}',
    "a key twice, deep": b'{"type": "broadcast", "event": "note:n", "data": {"a": [{"b": 1, "b": 1}]}}',
    "400 digits": b'{"type": "ack", "of": %s}' % (b"9" * 400),
    "5,000 digits": b'{"type": "ack", "of": %s}' % (b"9" * 5000),
    "2^63": b'{"type": "ack", "of": %d}' % 2**63,
    "2^63 inside": b'{"type": "broadcast", "event": "note:n", "data": {"a": [%d]}}' % -(2**63),
    "a comment": b'{"type": "ack", "of": 1} // x',
    "two objects": ACK.encode() * 2,
    "single quotes": b"{'type': 'ack'}",
    "a hidden character in the request id": b'{"type": "ack", "of": 1, "request_id": "a\\u202eb"}',
}
OUT_OF_SCHEMA: list[dict[str, Any]] = [
    {"type": "ack", "of": "1"},
    {"type": "ack", "of": True},
    {"type": "ack", "of": 1.0},
    {"type": "ack", "of": -1},
    {"type": "ack", "of": 10**400},
    {"type": "message:read", "after": "0"},
    {"type": "heartbeat", "ack_seq": 2**63},
    {"type": "lock:renew", "lock_id": "L1", "token": "1"},
    {"type": "lock:acquire", "path": "a", "ttl_s": "5"},
    {"type": "lock:acquire", "path": "a", "ttl_s": float("nan")},
    {"type": "lock:acquire", "path": "a", "lines": ["1", 2]},
    {"type": "lock:acquire", "path": "a", "wait_s": True},
]
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-MAX_INT, MAX_INT)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.boundary(
    layer="hub rights",
    tried="bodies in UTF-16, with a byte order mark, NaN, repeated keys or integers over 2^63",
    refused="the request is refused as not strict JSON",
)
@pytest.mark.parametrize("name", ODD)
def test_an_odd_body_is_refused(name: str) -> None:
    with pytest.raises(UsageError):
        parse_request(ODD[name])


@pytest.mark.parametrize("fields", OUT_OF_SCHEMA)
def test_a_number_outside_the_schema_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=str(fields["type"])):
        parse_command(fields)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(JSON)
def test_every_value_that_json_can_say_is_read(value: object) -> None:
    assert parse_json(json.dumps(value)) == value
    assert parse_json(json.dumps(value, ensure_ascii=False).encode()) == value
    check_numbers(value)


@given(st.integers(), st.sampled_from(["[%s]", '{"a": %s}', "%s"]))
def test_an_integer_is_read_exactly_or_refused(number: int, form: str) -> None:
    is_small = -MAX_INT <= number <= MAX_INT
    try:
        read = parse_json(form % number)
    except UsageError:
        assert not is_small
    else:
        assert is_small and read == json.loads(form % number)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 2**63, [{"a": [-(2**63)]}]])
def test_numbers_that_another_reader_let_in_are_refused(value: object) -> None:
    with pytest.raises(UsageError):
        check_numbers(value)


def test_every_door_refuses_odd_bodies(paths: WorkspacePaths) -> None:
    def post(address: HubAddress, path: str, token: str, body: bytes) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", int(address.url.rpartition(":")[2]), timeout=10)
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        connection.request("POST", path, body, {**headers, "Accept": "application/json, text/event-stream"})
        status = connection.getresponse().status
        connection.close()
        return status

    def join(address: HubAddress) -> str:
        reply = HubQuick(address).command("agent:register", agent_type="CLAUDE", instance_id="one")
        return Path(reply["token_file"]).read_text()

    async def main() -> None:
        async with open_hub(paths, port=0) as (address, engine):
            token = await asyncio.to_thread(join, address)
            seq = engine.last_seq
            for body in ODD.values():
                assert await asyncio.to_thread(post, address, "/v1/commands", address.token, body) == 400
            call = '{"jsonrpc": "2.0", "id": 1, "method": "ping", "x": %s}'
            for body in (b"\xef\xbb\xbf" + (call % 1).encode(), (call % 1).encode("utf-16"), (call % "NaN").encode()):
                assert await asyncio.to_thread(post, address, "/mcp", token, body) == 400
            assert await asyncio.to_thread(post, address, "/mcp", token, (call % 1).encode()) == 200
            assert engine.last_seq == seq

    asyncio.run(main())
