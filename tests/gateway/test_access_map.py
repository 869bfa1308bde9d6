"""The map of callers as the gateway reads it, whatever happens to the file (LLM-10)."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from aegis_tui.gateway.access import AccessMap

TOKEN = "t" * 64


def write(path: Path, name: str) -> None:
    digest = hashlib.sha256(TOKEN.encode()).hexdigest()
    path.write_text(json.dumps({"upstream": "http://127.0.0.1:1/v1", "instances": {digest: name}}))


def test_a_map_that_cannot_be_read_for_a_moment_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """With no descriptor left, the news of an instance was lost for good: all its calls were refused."""
    path = tmp_path / "gateway-map.json"
    write(path, "NATIVE-w01")
    access = AccessMap(path)

    def fail(_: Path) -> bytes:
        raise OSError(24, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", fail)
        assert [access.find_caller(TOKEN) for _ in range(3)] == [None] * 3
    assert [record.getMessage() for record in caplog.records] == [
        "gateway-map.json cannot be read, the last valid one stays in use: Too many open files"
    ]
    assert access.find_caller(TOKEN) == "NATIVE-w01"


@pytest.mark.parametrize("spoil", [lambda path: path.write_text("{"), lambda path: path.unlink()], ids=["cut", "gone"])
def test_a_map_that_is_gone_or_no_map_leaves_the_last_one(tmp_path: Path, spoil: object) -> None:
    path = tmp_path / "gateway-map.json"
    write(path, "NATIVE-w01")
    access = AccessMap(path)
    assert access.find_caller(TOKEN) == "NATIVE-w01"
    assert callable(spoil)
    spoil(path)
    assert access.find_caller(TOKEN) == "NATIVE-w01"
