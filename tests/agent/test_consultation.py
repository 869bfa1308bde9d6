"""A consultant's conversation with a model, over HTTP and on a real checkout (ROLE-5, FLOW-11)."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from aegis_tui.adapters.llm.openai import OpenAIChat
from aegis_tui.agent.consultation import draft_spec
from aegis_tui.agent.role import load_role
from aegis_tui.domain.spec.document import Metadata, Spec
from aegis_tui.domain.spec.draft import SpecDraft
from aegis_tui.errors import ModelError, ModelUnavailable
from aegis_tui.testing.canned_llm import Canned, CannedModel, calls, says

ASKED = Spec(id="a", assignedAgent="consultant", metadata=Metadata(title="Pay by card"))
GOOD: dict[str, Any] = {
    "description": "Members pay by card.",
    "requirements": [{"description": "A card is charged.", "criteria": ["It is charged once."]}],
    "tasks": [{"title": "Charge", "files": ["src/pay.py"]}],
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "repo"
    (folder / "src").mkdir(parents=True)
    (folder / "src" / "pay.py").write_text("def pay():\n    return 'cash'\n")
    (folder / ".gitignore").write_text(".env\n")
    (folder / ".env").write_text("KEY=1\n")
    (tmp_path / "outside.txt").write_text("outside\n")
    (folder / "link.txt").symlink_to(tmp_path / "outside.txt")
    subprocess.run(["git", "init", "-q", str(folder)], check=True, timeout=20)
    return folder


def consult(
    root: Path, *answers: Canned, role: Mapping[str, Any] | None = None
) -> tuple[SpecDraft | ModelError | ModelUnavailable, list[dict[str, Any]]]:
    async def main() -> tuple[SpecDraft | ModelError | ModelUnavailable, list[dict[str, Any]]]:
        async with CannedModel() as server:
            server.will(*answers)
            model = OpenAIChat(server.base_url, attempts=1)
            file = load_role("consultant").model_copy(update=role or {})
            try:
                return await draft_spec(root, file, model, "canned", ASKED), server.requests
            except (ModelError, ModelUnavailable) as error:
                return error, server.requests
            finally:
                await model.close()

    return asyncio.run(main())


def results(requests: list[dict[str, Any]]) -> list[str]:
    return [message["content"] for message in requests[-1]["messages"] if message["role"] == "tool"]


def test_it_looks_around_and_hands_in(root: Path) -> None:
    draft, requests = consult(
        root,
        calls(("search", {"pattern": "cash"}), ("read", {"path": "src/pay.py", "start": 2})),
        calls(("propose_spec", GOOD)),
    )
    assert isinstance(draft, SpecDraft) and draft.tasks[0].files == ("src/pay.py",)
    assert results(requests) == ["src/pay.py:2:    return 'cash'", "2:     return 'cash'\n(2 lines in all)"]
    assert [tool["function"]["name"] for tool in requests[0]["tools"]] == ["read", "search", "propose_spec"]
    assert "Pay by card" in requests[0]["messages"][1]["content"] and ".env" not in str(requests[0])


@pytest.mark.parametrize("path", [".env", "link.txt", "../outside.txt", "/etc/passwd", "src"])
def test_only_files_of_the_repository_are_read(root: Path, path: str) -> None:
    draft, requests = consult(root, calls(("read", {"path": path})), calls(("propose_spec", GOOD)))
    assert isinstance(draft, SpecDraft)
    (answer,) = results(requests)
    assert answer.startswith("Error: ") and "outside\n" not in answer


def test_what_does_not_fit_is_sent_back(root: Path) -> None:
    draft, requests = consult(
        root,
        calls(("propose_spec", {**GOOD, "tasks": [{"title": "x", "files": ["../up"]}]})),
        calls(("bash", {"command": "id"})),
        says("I would add a page."),
        calls(("propose_spec", GOOD)),
    )
    assert isinstance(draft, SpecDraft)
    first, second = results(requests)
    assert "tasks.0.files.0" in first and "there is no tool 'bash'" in second


def test_it_gives_up_after_some_replies_that_cannot_be_used(root: Path) -> None:
    error, requests = consult(root, *[calls(("propose_spec", {"tasks": []})) for _ in range(9)])
    assert isinstance(error, ModelError) and error.is_certain and "nothing usable" in error.message
    assert len(requests) == 4


def test_the_role_file_sets_tools_and_limits(root: Path) -> None:
    looks = [calls(("search", {"pattern": "pay"})) for _ in range(9)]
    error, requests = consult(root, *looks, role={"max_turns": 2, "tools": ("search", "report")})
    assert isinstance(error, ModelError) and "within its limits" in error.message
    assert [tool["function"]["name"] for tool in requests[0]["tools"]] == ["search", "propose_spec"]
    assert len(requests) == 2
