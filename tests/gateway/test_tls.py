"""A model server behind TLS, with a certificate of an authority that this machine trusts or does not (LLM-7)."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.gateway.conftest import CHAT_STREAM, Gateway, ModelServer, open_model_server

CHAT = "/v1/chat/completions"
ASK = {"model": "tiny", "stream": True}


def write_certificate(folder: Path, address: str) -> tuple[Path, Path]:
    """A certificate that signs itself, for one address; its file and that of its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "model server")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    files = folder / "certificate.pem", folder / "key.pem"
    files[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    kind, secrecy = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    files[1].write_bytes(key.private_bytes(serialization.Encoding.PEM, kind, secrecy))
    return files


def server_of(files: tuple[Path, Path]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files)
    return context


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    return write_certificate(tmp_path, "127.0.0.1")[0]


@pytest.fixture
def tls_server(certificate: Path) -> Iterator[ModelServer]:
    with open_model_server(server_of((certificate, certificate.with_name("key.pem")))) as server:
        yield server


def test_a_stream_passes_over_tls_on_a_connection_that_is_kept(
    gateway_folders: Gateway, tls_server: ModelServer, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    gateway_folders.write_map(tls_server.url)
    gateway_folders.start()
    client = gateway_folders.client()
    for _ in range(3):
        answer = client.post(CHAT, json={**ASK, "messages": "x" * 400_000})
        assert (answer.status_code, answer.content) == (200, CHAT_STREAM)

    # A client may ask again before the gateway has taken the connection of its last answer back.
    assert len({request.connection for request in tls_server.calls(CHAT)}) <= 2
    assert [line["error"] for line in gateway_folders.wait_for_lines(3)] == [None] * 3


def test_a_certificate_that_nobody_vouches_for_is_refused(gateway_folders: Gateway, tls_server: ModelServer) -> None:
    gateway_folders.write_map(tls_server.url)
    gateway_folders.start()
    answer = gateway_folders.client().post(CHAT, json=ASK)

    assert answer.status_code == 502
    assert "its certificate is not valid: self-signed certificate" in answer.json()["error"]["message"]
    assert not tls_server.seen


def test_a_certificate_for_another_address_is_refused(
    gateway_folders: Gateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = write_certificate(tmp_path, "10.0.0.1")
    monkeypatch.setenv("SSL_CERT_FILE", str(files[0]))
    with open_model_server(server_of(files)) as server:
        gateway_folders.write_map(server.url)
        gateway_folders.start()
        answer = gateway_folders.client().post(CHAT, json=ASK)

        assert answer.status_code == 502
        assert "its certificate is not valid: IP address mismatch" in answer.json()["error"]["message"]
        assert not server.seen


def test_a_server_without_tls_is_not_spoken_to_in_plain_text(
    gateway_folders: Gateway, model_server: ModelServer
) -> None:
    gateway_folders.write_map(model_server.url.replace("http:", "https:"))
    gateway_folders.start(numbers={"aegis_tui.gateway.upstream:_CONNECT_TIMEOUT_S": 0.5})
    answer = gateway_folders.client().post(CHAT, json=ASK)

    assert answer.status_code == 502
    assert "127.0.0.1 did not answer within 0.5 s" in answer.json()["error"]["message"]
    assert not model_server.seen
