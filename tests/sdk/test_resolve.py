"""From a host to its addresses, without telling a public name server."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from aegis_tui.errors import ModelUnavailable, Refused
from aegis_tui.sdk.resolve import resolve, resolve_endpoint


@pytest.fixture
def hosts_file(tmp_path: Path) -> Path:
    path = tmp_path / "hosts"
    path.write_text("10.1.2.3 gpu.example.com GPU # 10.9.9.9 other\nfd00::7\tgpu\nbroken gpu\n", encoding="utf-8")
    return path


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names that reached the system's resolver; it knows none."""
    names: list[str] = []

    def refuse(host: str, *_: object, **__: object) -> None:
        names.append(host)
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    return names


def test_addresses_and_localhost_need_no_look_up(asked: list[str]) -> None:
    assert asyncio.run(resolve("10.0.0.1")) == ["10.0.0.1"]
    assert asyncio.run(resolve("fd00::1")) == ["fd00::1"]
    assert asyncio.run(resolve("LocalHost")) == ["127.0.0.1", "::1"]
    assert asked == []


def test_the_hosts_file_is_asked_before_anybody_else(asked: list[str], hosts_file: Path) -> None:
    assert asyncio.run(resolve("gpu.example.com", hosts_file=hosts_file)) == ["10.1.2.3"]
    assert asyncio.run(resolve("gpu", hosts_file=hosts_file)) == ["10.1.2.3", "fd00::7"]
    assert asked == []


def test_a_public_name_is_never_looked_up(asked: list[str], hosts_file: Path) -> None:
    for host in ("api.example.com", "other.example.com", "8.8.8.8.", "0x7f.1"):
        with pytest.raises((Refused, ModelUnavailable)) as caught:
            asyncio.run(resolve_endpoint(f"http://{host}/v1", hosts_file=hosts_file))
        assert caught.value.code == "boundary.endpoint"
    assert asked == []


def test_a_private_name_that_nobody_knows_is_said(asked: list[str], hosts_file: Path) -> None:
    with pytest.raises(ModelUnavailable) as caught:
        asyncio.run(resolve("gpu.internal", hosts_file=hosts_file))
    assert asked == ["gpu.internal"]
    assert caught.value.exit_code == 5


def test_a_name_that_stands_for_a_public_address_is_refused(tmp_path: Path) -> None:
    hosts_file = tmp_path / "hosts"
    hosts_file.write_text("127.0.0.1 rebound\n8.8.8.8 rebound\n", encoding="utf-8")
    with pytest.raises(Refused) as caught:
        asyncio.run(resolve_endpoint("http://rebound:8001/v1", hosts_file=hosts_file))
    assert caught.value.data == {"address": "8.8.8.8"}
