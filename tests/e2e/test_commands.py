"""Every command against a real hub, in a repository whose path is not ASCII, from wherever one stands in it."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from aegis_tui.testing.recorded_llm import RecordedLLM
from aegis_tui.testing.sample_repository import scenario_directory
from aegis_tui.testing.scratch import ScratchWorkspace

PATH = "src/가게/모델 둘.py"
CONNECT = ("connect", "--agent", "claude", "--instance", "frontend")


@pytest.fixture(scope="module")
def place(korean_workspace: ScratchWorkspace) -> ScratchWorkspace:
    """The shared workspace with its hub running."""
    assert korean_workspace.aegis("hub", "start").code == 0
    return korean_workspace


def failed(workspace: ScratchWorkspace, *arguments: str, code: int, error: str) -> dict[str, Any]:
    """The whole object of a command that fails with `--json`; as text it fails in the same way."""
    told = workspace.aegis(*arguments)
    assert (told.code, told.out) == (code, ""), told
    answer = workspace.aegis(*arguments, "--json")
    assert (answer.code, answer.problems) == (code, ""), answer
    found = answer.json
    assert (found["schema_version"], found["ok"], found["error"]["code"]) == (1, False, error), found
    assert found["error"]["message"].splitlines()[0] in told.err
    return found


def worked(workspace: ScratchWorkspace, *arguments: str) -> dict[str, Any]:
    answer = workspace.aegis(*arguments, "--json")
    assert (answer.code, answer.problems) == (0, ""), f"{answer.out}{answer.err}"
    found = answer.json
    assert (found.pop("schema_version"), found.pop("ok")) == (1, True)
    return found


def test_the_hub_is_started_once_looked_at_and_stopped(workspace: ScratchWorkspace) -> None:
    assert worked(workspace, "hub", "status")["running"] is False
    failed(workspace, "status", code=5, error="hub.unavailable")
    started = worked(workspace, "hub", "start")
    assert started.keys() == {"running", "pid", "url", "socket", "token_file", "seq", "instances", "gateway"}
    assert worked(workspace, "server", "start")["pid"] == started["pid"]
    assert Path(started["token_file"]).stat().st_mode & 0o777 == 0o600
    told = workspace.aegis("hub", "status")
    assert f"hub {started['pid']} serves {started['url']}" in told.out
    assert worked(workspace, "hub", "stop")["running"] is False
    assert workspace.leftovers() == []
    again = workspace.aegis("hub", "stop")
    assert (again.code, again.out) == (0, "no hub was running\n")


def test_one_workspace_wherever_one_stands(place: ScratchWorkspace) -> None:
    other = place.folder / "다른 나무"
    place.git("worktree", "add", "-q", "-b", "other", str(other))
    pids = {place.hub_pid()}
    for folder in (place.root / "src" / "shop", other, other / "tests"):
        pids.add(place.aegis("hub", "status", "--json", folder=folder).json["pid"])
    assert len(pids) == 1
    place.git("worktree", "remove", "--force", str(other))
    inside = place.aegis("hub", "status", "--json", folder=place.root / ".git")
    assert (inside.code, inside.json["error"]["code"]) == (5, "git.unavailable")


def test_the_state_and_the_log_as_text_and_json(place: ScratchWorkspace) -> None:
    state = worked(place, "status")
    assert {"stage", "instances", "locks", "partitions", "progress"} <= state.keys()
    assert state["progress"] == {"total": 0, "completed": 0, "percentage": 0}
    assert "no run yet" in place.aegis("status").out
    worked(place, "lock", "acquire", "log.py")
    worked(place, "lock", "release", "log.py")
    events = place.events()
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    last = place.aegis("events", "--after", str(len(events) - 1), "--json").out.splitlines()
    assert [json.loads(line)["type"] for line in last] == ["lock:released"]
    failed(place, "report", code=2, error="usage")
    failed(place, "report", "run9", code=2, error="usage")
    failed(place, "wait", code=2, error="usage")
    failed(place, "halt", code=2, error="usage")


def test_a_lock_is_taken_listed_refused_and_given_back(place: ScratchWorkspace) -> None:
    (place.root / PATH).parent.mkdir(parents=True, exist_ok=True)
    (place.root / PATH).write_text("x = 1\n" * 20)
    [lock] = worked(place, "lock", "acquire", PATH, "--lines", "3-9")["locks"]
    assert (lock["path"], lock["lock_type"], lock["agent_id"]) == (PATH, "EXCLUSIVE", "person")
    ask = ["--", "aegis-tui", "lock", "acquire", "--file", PATH, "--json"]
    refused = place.aegis(*CONNECT, *ask)
    assert refused.code == 4
    assert refused.json["held_by"] == "person" and 0 < refused.json["expires_in_s"] <= 300
    assert refused.json["error"]["code"] == "HELD" and refused.json["error"]["hint"]
    told = place.aegis(*CONNECT, *ask[:-1])
    assert told.code == 4 and "person holds" in told.err and PATH in told.err
    assert PATH in place.aegis("lock", "list").out and PATH in place.aegis("status").out
    assert [item["lock_id"] for item in worked(place, "lock", "list")["locks"]] == [lock["lock_id"]]
    assert worked(place, "lock", "release", "--id", lock["lock_id"])["released"] == [lock["lock_id"]]
    assert place.aegis(*CONNECT, *ask).json["locks"][0]["agent_id"] == "CLAUDE-frontend"
    assert worked(place, "lock", "list")["locks"] == []
    assert place.aegis("lock", "list").out == "no locks are held\n"


def test_a_broken_lock_is_free_and_wrong_requests_are_named(place: ScratchWorkspace) -> None:
    [lock] = worked(place, "lock", "acquire", "b.py")["locks"]
    assert worked(place, "lock", "break", lock["lock_id"], "--reason", "시험")["broken"] == lock["lock_id"]
    assert place.events()[-1]["data"]["reason"] == "시험"
    failed(place, "lock", "break", lock["lock_id"], code=4, error="STALE")
    failed(place, "lock", "release", "b.py", code=4, error="STALE")
    failed(place, "lock", "release", code=2, error="usage")
    failed(place, "lock", "acquire", code=2, error="usage")
    failed(place, "lock", "acquire", "../b.py", code=2, error="usage")
    failed(place, "lock", "acquire", "/etc/passwd", code=2, error="usage")
    failed(place, "lock", "acquire", "b.py", "--lines", "ten", code=2, error="usage")
    failed(place, "lock", "acquire", "b.py", "--mode", "ODD", code=2, error="usage")
    failed(place, "lock", "acquire", "b.py", "--ttl", "9999", code=2, error="usage")
    failed(place, "lock", "acquire", "b.py", "--instance", "nobody", code=2, error="usage")


def test_two_globs_or_a_design_are_checked_for_a_common_path(place: ScratchWorkspace) -> None:
    found = failed(place, "partition", "check", "src/가*/**", "src/**/모델.py", code=3, error="partition")
    [overlap] = found["overlaps"]
    assert overlap.keys() == {"a", "b", "owners", "witness"}
    assert overlap["witness"].startswith("src/가") and overlap["witness"].endswith("/모델.py")
    assert worked(place, "partition", "check", "src/가/**", "src/나/**") == {"overlaps": []}
    good = str(scenario_directory("calm") / "design.yaml")
    assert worked(place, "partition", "check", good) == {"overlaps": []}
    assert "no path in common" in place.aegis("partition", "check", good).out
    plan = place.folder / "plan.yaml"
    feature = {"title": "T", "brief": "B."}
    features = [{"id": name, "partition": ["가/**"], **feature} for name in ("a", "b")]
    plan.write_text(json.dumps({"goal": "g", "features": features}), "utf-8")
    found = failed(place, "partition", "check", str(plan), code=3, error="design")
    assert found["overlaps"][0]["witness"].startswith("가/")
    failed(place, "partition", "check", "[", "b", code=3, error="glob")
    failed(place, "partition", "check", str(place.folder / "none.yaml"), code=2, error="usage")


def test_an_agent_of_the_persons_own_joins_works_and_leaves(place: ScratchWorkspace) -> None:
    seen = place.events()[-1]["seq"] if place.events() else 0
    script = 'aegis-tui lock acquire c.py && aegis-tui status --json && stat -c %a "$AEGIS_TOKEN_FILE"; exit 7'
    done = place.aegis(*CONNECT, "--partition", "src/가게/**", "--", "sh", "-c", script)
    assert done.code == 7, done
    _, status, mode = done.out.splitlines()
    state = json.loads(status)
    [instance] = state["instances"]
    assert instance["agent_id"] == "CLAUDE-frontend"
    assert state["partitions"] == [{"agent_id": "CLAUDE-frontend", "globs": ["src/가게/**"]}]
    assert mode == "600"
    types = [event["type"] for event in place.events() if event["seq"] > seen]
    assert types == ["agent:joined", "lock:acquired", "agent:left", "lock:released"] or types == [
        *("agent:joined", "lock:acquired", "lock:released", "agent:left")
    ]
    assert worked(place, "status")["instances"] == []
    assert place.aegis(*CONNECT, "--", "no-such-program").code == 5
    assert place.aegis("connect", "--agent", "claude", "--instance", "../x").code == 2


def test_verbs_typed_at_the_prompt_are_answered_one_a_line(place: ScratchWorkspace) -> None:
    typed = (
        f'lock:acquire path="{PATH}"\nno:such x=1\nlock:acquire "unclosed\nlock:acquire word\nheartbeat\n\nnever=1\n'
    )
    done = subprocess.run(
        place.argv(*CONNECT),
        cwd=place.root,
        env=place.environ,
        input=typed,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [answer["ok"] for answer in answers] == [True, False, False, False, True]
    assert answers[0]["locks"][0]["path"] == PATH
    assert {answer["error"]["code"] for answer in answers[1:4]} == {"usage"}


def test_what_does_not_exist_is_exit_two(place: ScratchWorkspace) -> None:
    for words in (("nonsense",), ("lock", "nonsense"), ("status", "--nonsense"), ("send", "w99", "x"), ("stop", "w99")):
        failed(place, *words, code=2, error="usage")
    attached = place.aegis("attach", "w01")
    assert attached.code == 2 and "needs a terminal" in attached.err
    assert place.aegis("--version").out.startswith("aegis-tui ")


@pytest.fixture
def held(workspace: ScratchWorkspace, tmp_path: Path) -> Iterator[tuple[ScratchWorkspace, RecordedLLM]]:
    """A run whose only worker waits for its model."""
    feature = {"id": "one", "title": "One", "brief": "One. [[script:one]]", "partition": ["one/**"]}
    design = {"goal": "One", "features": [feature], "qa": {"commands": ["true"]}}
    (tmp_path / "design.yaml").write_text(json.dumps(design))
    steps = [
        {"tool": "write", "args": {"path": "one/a.txt", "content": "a\n"}, "gate": "go"},
        {"tool": "report", "args": {"status": "done", "summary": "Add a file"}},
    ]
    (tmp_path / "one.json").write_text(json.dumps({"steps": steps}))
    shutil.copy(scenario_directory("calm") / "reviewer.json", tmp_path)
    with closing(RecordedLLM(tmp_path)) as model:
        design_file, note = str(tmp_path / "design.yaml"), "reviewer=[[script:reviewer]]"
        run = worked(
            *(workspace, "run", "g", "--design", design_file, "--base-url", model.base_url, "--headless"),
            *("--detach", "--note", note),
        )
        assert run == {"run": "run1"}
        workspace.until(lambda: model.held("go"), what="the worker", timeout_s=30)
        yield workspace, model


def test_a_prompt_reaches_a_working_instance_and_the_run_is_followed(
    held: tuple[ScratchWorkspace, RecordedLLM],
) -> None:
    workspace, model = held
    state = worked(workspace, "status")
    assert (state["run"], state["stage"]) == ("run1", "MONITORING")
    assert worked(workspace, "halt") == {"run": "run1"}
    assert worked(workspace, "resume", "run1") == {"run": "run1"}
    failed(workspace, "run", "g", "--yes", "--base-url", model.base_url, code=3, error="run.active")
    sent = workspace.start("send", "NATIVE-w01", "한 줄 더", "--json")
    workspace.until(lambda: "message:sent" in [event["type"] for event in workspace.events()], what="the prompt")
    model.open_gate("go")
    out, _ = sent.communicate(timeout=20)
    assert json.loads(out)["delivery"] == "delivered"
    failed(workspace, "send", "w01", "  ", code=2, error="usage")
    followed = workspace.aegis("wait", "--json")
    assert followed.code == 0 and followed.json["ok"], followed
    assert worked(workspace, "report", "run1")["commit"] == followed.json["commit"]
    text = workspace.aegis("wait", "run1")
    assert text.code == 0 and "git merge --ff-only aegis/run1/result" in text.out
    failed(workspace, "cancel", "run1", code=3, error="run.ended")


def test_a_cancelled_run_fails_and_leaves_nothing(held: tuple[ScratchWorkspace, RecordedLLM]) -> None:
    workspace, _ = held
    assert worked(workspace, "stop", "w01", "--reason", "시험") == {"agent_id": "NATIVE-w01"}
    assert worked(workspace, "cancel") == {"run": "run1"}
    ended = workspace.aegis("wait", "run1", "--json")
    assert ended.code == 1
    assert ended.json["ok"] is False and ended.json["error"]["code"] == "cancelled"
    assert workspace.git("worktree", "list").count("\n") == 0
    assert workspace.git("status", "--porcelain") == ""
