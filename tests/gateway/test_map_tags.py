"""Shadow tags are made through the workspace's gateway, by the program that the hub starts (MAP-4)."""

from __future__ import annotations

import asyncio
import json
import subprocess
from pathlib import Path

import pytest

from aegis_tui.adapters.code_map import tag_child
from aegis_tui.adapters.code_map.store import SqliteMapStore
from aegis_tui.adapters.code_map.tag_child import ChildTags
from aegis_tui.errors import StoreError
from aegis_tui.ports.map_tags import TagReport, TagWish
from aegis_tui.sdk.discovery import WorkspacePaths
from tests.gateway.conftest import PERSON_TOKEN, Gateway, ModelServer, streamed

CODE = 'def pay(sum, key="ghp_0123456789abcdefghij0123456789"):\n    return sum\n'
REPLY = {"choices": [{"index": 0, "delta": {"content": "1: Pays a sum in cents."}, "finish_reason": "stop"}]}
END = {"choices": [], "usage": {"prompt_tokens": 90, "completion_tokens": 9}}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "repo"
    folder.mkdir()
    (folder / "bank.py").write_text(CODE)
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True, timeout=20)
    return folder


def test_a_round_asks_through_the_gateway_and_stores_what_is_said(
    root: Path, gateway: Gateway, model_server: ModelServer
) -> None:
    body = f"data: {json.dumps(REPLY)}\n\ndata: {json.dumps(END)}\n\ndata: [DONE]\n\n".encode()
    model_server.answers["/v1/chat/completions"] = lambda _: streamed(body)
    (gateway.runtime / "hub.json").write_text(json.dumps({"token": PERSON_TOKEN}))
    paths = WorkspacePaths("k", gateway.state, gateway.runtime)

    def make() -> TagReport:
        return asyncio.run(ChildTags().make(TagWish("tiny", 9, 99_000), root, paths))

    assert make() == TagReport(1, True, "")
    (asked,) = model_server.calls("/v1/chat/completions")
    assert asked.json["model"] == "tiny" and asked.json["max_tokens"] == 1000
    assert "def pay(sum, key=<secret>" in asked.json["messages"][1]["content"]
    assert "ghp_" not in asked.body.decode()
    (line,) = gateway.wait_for_lines(1)
    assert line["agent_id"] == "person"
    assert make() == TagReport(0, True, "")
    assert len(model_server.calls("/v1/chat/completions")) == 1
    store = SqliteMapStore(paths.state_dir / "map.db")
    assert store.status().tags == 1
    store.close()


def test_a_gateway_that_refuses_the_token_is_told_as_a_problem(root: Path, gateway: Gateway) -> None:
    (gateway.runtime / "hub.json").write_text(json.dumps({"token": "x"}))
    paths = WorkspacePaths("k", gateway.state, gateway.runtime)
    report = asyncio.run(ChildTags().make(TagWish("tiny", 9, 99_000), root, paths))
    assert report.made == 0 and not report.is_done and report.problem


def test_a_checkout_that_is_gone_is_a_problem_and_a_child_that_fails_an_error(
    root: Path, gateway_folders: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = WorkspacePaths("k", gateway_folders.state, gateway_folders.runtime)
    wish = TagWish("tiny", 9, 99_000)
    assert "not a git repository" in asyncio.run(ChildTags().make(wish, root.parent, paths)).problem
    monkeypatch.setattr(tag_child, "PROGRAM", "aegis_tui.no_such_module")
    with pytest.raises(StoreError, match="the process that asks tiny failed"):
        asyncio.run(ChildTags().make(wish, root, paths))
