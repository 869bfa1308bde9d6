"""The consultant's program asks through the workspace's gateway, as the person (ROLE-5)."""

from __future__ import annotations

import asyncio
import json
import subprocess
from pathlib import Path

import pytest

from aegis_tui.adapters import consultant
from aegis_tui.adapters.consultant import ChildConsultant
from aegis_tui.domain.spec.document import Metadata, Spec
from aegis_tui.ports.consultant import Consulted
from aegis_tui.sdk.discovery import WorkspacePaths
from tests.gateway.conftest import PERSON_TOKEN, Gateway, ModelServer, streamed

ASKED = Spec(id="a", assignedAgent="consultant", metadata=Metadata(title="Pay by card"))
DRAFT = {
    "description": "Members pay by card.",
    "requirements": [{"description": "A card is charged.", "criteria": ["Once."]}],
    "tasks": [{"title": "Charge"}],
}
CALL = {"index": 0, "id": "c", "type": "function", "function": {"name": "propose_spec", "arguments": json.dumps(DRAFT)}}
REPLY = {"choices": [{"index": 0, "delta": {"tool_calls": [CALL]}, "finish_reason": "tool_calls"}]}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "repo"
    folder.mkdir()
    subprocess.run(["git", "init", "-q", str(folder)], check=True, timeout=20)
    return folder


def ask(root: Path, gateway: Gateway, *, token: str, model: str | None = "tiny") -> Consulted:
    (gateway.runtime / "hub.json").write_text(json.dumps({"token": token}))
    paths = WorkspacePaths("k", gateway.state, gateway.runtime)
    return asyncio.run(ChildConsultant().consult(ASKED, root, paths, model=model))


def test_a_draft_comes_back_and_the_call_is_the_persons(
    root: Path, gateway: Gateway, model_server: ModelServer
) -> None:
    body = f"data: {json.dumps(REPLY)}\n\ndata: [DONE]\n\n".encode()
    model_server.answers["/v1/chat/completions"] = lambda _: streamed(body)
    answer = ask(root, gateway, token=PERSON_TOKEN)
    assert answer.draft is not None and answer.draft.description == "Members pay by card."
    (asked,) = model_server.calls("/v1/chat/completions")
    assert asked.json["model"] == "tiny"
    (line,) = gateway.wait_for_lines(1)
    assert line["agent_id"] == "person"


def test_a_refusal_is_a_problem_and_a_process_that_fails_may_be_tried_again(
    root: Path, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = ask(root, gateway, token="x")
    assert answer.draft is None and answer.problem
    monkeypatch.setattr(consultant, "PROGRAM", "aegis_tui.no_such_module")
    assert ask(root, gateway, token="x") == Consulted(None, "the process of the consultant failed", is_final=False)
