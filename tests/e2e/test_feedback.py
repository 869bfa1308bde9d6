"""One run from end to end: a piece that breaks its own checks, two workers who do not repair it, and a person who can.

All tests look at the same finished run (FLOW-7, FLOW-10).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from aegis_tui.testing.recorded_llm import RecordedLLM
from aegis_tui.testing.scratch import ScratchWorkspace
from tests.workspace import SHOP, clean_workspace

ADVICE = "A dozen is twelve."
QA = "python3 -m unittest discover -t . -s tests"
TEST = """import unittest

from src.{name} import VALUE


class {title}(unittest.TestCase):
    def test_{name}(self) -> None:
        self.assertEqual(VALUE, 12)
"""
VERDICT = {"decision": "approve", "criteria": [{"id": "brief", "pass": True, "evidence": "scripted"}], "findings": []}


def write(path: str, content: str) -> dict[str, Any]:
    return {"tool": "write", "args": {"path": path, "content": content}}


def done(summary: str) -> dict[str, Any]:
    return {"tool": "report", "args": {"status": "done", "summary": summary}}


def written(name: str, value: int) -> list[dict[str, Any]]:
    test = TEST.format(name=name, title=name.title())
    steps = [write(f"src/{name}.py", f"VALUE = {value}\n"), write(f"tests/test_{name}.py", test)]
    return [*steps, done(f"add {name}")]


def write_scenario(folder: Path) -> None:
    note = {"tool": "bash", "args": {"command": "echo '# seen' >> src/dozen.py", "timeout_s": 20}}
    repair = {"tool": "write", "args": {"path": "src/dozen.py", "content": "VALUE = 12\n"}}
    dozen = [
        {"steps": written("dozen", 13)},
        {"on": "QA failed", "on_role": "user", "steps": [note, done("look once more")]},
        {"on": ADVICE, "on_role": "user", "steps": [repair, done("count to twelve")]},
    ]
    scripts = {"reviewer": {"steps": [{"tool": "verdict", "args": VERDICT}]}, "other": {"steps": written("other", 12)}}
    for name, script in {**scripts, "dozen": {"scripts": dozen}}.items():
        (folder / f"{name}.json").write_text(json.dumps(script), "utf-8")


def design() -> dict[str, Any]:
    features = [
        {
            "id": name,
            "title": f"Add {name}",
            "brief": f"Write it. [[script:{name}]]",
            "partition": [f"src/{name}.py", f"tests/test_{name}.py"],
        }
        for name in ("dozen", "other")
    ]
    return {"goal": "Add numbers", "features": features, "qa": {"commands": [QA]}}


@dataclass
class Ended:
    """What is left of the run."""

    workspace: ScratchWorkspace
    report: dict[str, Any]
    events: list[dict[str, Any]]
    inbox: dict[str, Any]
    prompts: dict[str, str]
    """Agent -> all that it was told."""

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["type"] == kind]

    def piece(self, name: str) -> dict[str, Any]:
        found: list[dict[str, Any]] = [item for item in self.report["pieces"] if item["piece"] == name]
        return found[0]


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ended]:
    folder = tmp_path_factory.mktemp("scenario")
    write_scenario(folder)
    server = RecordedLLM(folder)
    try:
        with clean_workspace({**SHOP, "src/__init__.py": "", "tests/__init__.py": ""}) as workspace:
            yield play(workspace, server.base_url)
            workspace.aegis("hub", "stop")
    finally:
        server.close()


def play(workspace: ScratchWorkspace, url: str) -> Ended:
    assert workspace.aegis("hub", "start").code == 0
    hub = workspace.hub()
    assert hub is not None
    options = {"base_url": url, "attended": True, "max_rounds": 1, "role_notes": {"reviewer": "[[script:reviewer]]"}}
    run = hub.command("run:start", goal="Add numbers", design=design(), options=options)["run"]
    (item,) = workspace.until(lambda: inbox(workspace), what="the person is asked", timeout_s=120)
    assert item["kind"] == "piece", item
    answered = workspace.aegis("inbox", "answer", "dozen", ADVICE)
    assert (answered.code, "tries the piece once more" in answered.out) == (0, True)
    report = workspace.aegis("wait", run, "--json").json
    events = workspace.events()
    prompts: dict[str, str] = {}
    for event in events:
        if event["type"] == "message:sent":
            to = event["data"]["to"]
            prompts[to] = prompts.get(to, "") + event["data"]["text"]
    return Ended(workspace, report, events, item, prompts)


def inbox(workspace: ScratchWorkspace) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = workspace.aegis("inbox", "--json").json["items"]
    return items


def test_a_worker_is_told_in_its_conversation_before_its_piece_is_merged(ended: Ended) -> None:
    first, *_ = ended.piece("dozen")["agents"]
    assert "QA failed on dozen" in ended.prompts[first] and "13 != 12" in ended.prompts[first]
    tests = [event["data"] for event in ended.of("piece:tested") if event["data"]["piece"] == "dozen"]
    assert [item["ok"] for item in tests][:4] == [False] * 4 and tests[-1]["ok"] is True
    merged = [event["seq"] for event in ended.of("merge:applied") if event["data"]["piece"] == "dozen"]
    red = [event["seq"] for event in ended.of("piece:tested") if not event["data"]["ok"]]
    assert len(merged) == 1 and max(red) < merged[0]
    assert [event["data"]["ok"] for event in ended.of("qa:finished")] == [True], "nothing was left for the final QA"


def test_the_other_piece_did_not_wait_for_it(ended: Ended) -> None:
    (merged,) = [event["seq"] for event in ended.of("merge:applied") if event["data"]["piece"] == "other"]
    (asked,) = [event["seq"] for event in ended.of("piece:stuck")]
    assert merged < asked
    assert [item["passed"] for item in ended.piece("other")["tests"]][-1] is True


def test_after_its_round_another_instance_got_it_with_every_trace_and_then_the_person(ended: Ended) -> None:
    piece = ended.piece("dozen")
    assert [item["to"] for item in piece["sent_back"]] == ["worker", "other", "worker", "person"]
    first, second = piece["agents"]
    assert piece["handed_over"] == [first]
    roles = {item["agent_id"]: item["role"] for item in ended.report["instances"]}
    assert [roles[name] for name in (first, second)] == ["worker", "junior-developer"]
    brief = ended.prompts[second]
    assert "2 submissions of this task were sent back" in brief and brief.count("13 != 12") >= 2
    assert ADVICE in ended.prompts[second] and ADVICE not in ended.prompts[first]
    assert ended.inbox["kind"] == "piece" and set(ended.inbox["answers"]) == {"TEXT", "leave-out", "no"}
    assert (ended.report["ok"], ended.report["commit"]["files"]) == (True, 4)


def test_every_submission_is_kept(ended: Ended) -> None:
    refs = ended.workspace.git("for-each-ref", "--format=%(refname)", "refs/aegis/runs").split()
    trials = ended.piece("dozen")["sent_back"]
    assert len({item["head_oid"] for item in trials}) == 4
    for item in trials:
        assert item["ref"] in refs
        assert ended.workspace.git("rev-parse", item["ref"]).strip() == item["head_oid"]


def test_explain_shows_what_became_of_the_work_of_an_instance(ended: Ended) -> None:
    _, second = ended.piece("dozen")["agents"]
    evidence = [item["words"] for item in ended.workspace.aegis("explain", second, "--json").json["evidence"]]
    assert "dozen waits for you, because no worker could finish it" in evidence
    assert "QA passes on dozen merged with the newest integration branch" in evidence
    assert "piece:stuck" in ended.workspace.aegis("explain", second).out
