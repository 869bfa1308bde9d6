"""`connect` from the first report to the end: gateway, states that are right, an end by hand (CLI-4, AGENT-2)."""

from __future__ import annotations

import json
import os
import selectors
import shlex
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from aegis_tui.sdk.discovery import load_address, process_start_time, workspace_key_of, workspace_paths
from aegis_tui.sdk.quick import HubAddress
from tests.gateway.conftest import ModelServer, open_model_server, until
from tests.workspace import Served

CONNECT = ("connect", "--agent", "claude", "--instance")
THREE_DIALECTS = """
import json, os, sys, urllib.request
def ask(url, body, **headers):
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json", **headers})
    with urllib.request.urlopen(request, timeout=20) as answer:
        return answer.read().decode()
of = os.environ
said = [{"role": "user", "content": "hello"}]
chat = {"model": "tiny", "stream": True, "messages": said}
print(json.dumps({
    "chat": ask(of["OPENAI_BASE_URL"] + "/chat/completions", chat, Authorization="Bearer " + of["OPENAI_API_KEY"]),
    "same": of["OPENAI_BASE_URL"] == of["OPENAI_API_BASE"],
    "messages": ask(of["ANTHROPIC_BASE_URL"] + "/v1/messages", {**chat, "max_tokens": 9},
        Authorization="Bearer " + of["ANTHROPIC_AUTH_TOKEN"]),
    "google": ask(of["GOOGLE_GEMINI_BASE_URL"] + "/v1beta/models/gemini-2.5-pro:streamGenerateContent?alt=sse",
        {"contents": [{"role": "user", "parts": [{"text": "hello"}]}]}, x_goog_api_key=of["GEMINI_API_KEY"]),
    "token": open(of["AEGIS_TOKEN_FILE"]).read() == of["OPENAI_API_KEY"],
    "own": of.get("ANTHROPIC_API_KEY"),
}))
sys.exit(7)
"""
WAITING = ("python3", "-c", "import time; print('ready', flush=True); time.sleep(300)")
STUBBORN = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"], start_new_session=True)
print("ready", flush=True)
time.sleep(300)
"""


class Desk(Served):
    """A workspace whose hub has a model server."""

    def address(self) -> HubAddress:
        found = load_address(workspace_paths(workspace_key_of(self.root), self.environ).hub_json)
        assert found is not None
        return found

    def instance(self, name: str) -> dict[str, Any]:
        hub = self.hub()
        assert hub is not None
        return next((item for item in hub.state()["instances"] if item["instance_id"] == name), {})

    def ask_gateway(self, token: str) -> int:
        """The status that a token gets from the gateway."""
        socket = self.address().gateway_socket
        assert socket is not None
        with httpx.Client(transport=httpx.HTTPTransport(uds=socket), base_url="http://g") as client:
            return client.get("/v1/usage", headers={"Authorization": f"Bearer {token}"}).status_code

    def token(self, name: str) -> str:
        [path] = self.folder.glob(f"state/aegis-tui/*/instances/{name}/token")
        return path.read_text()

    def files(self, pattern: str) -> list[Path]:
        return list(self.folder.glob(f"state/aegis-tui/*/{pattern}"))


@contextmanager
def open_desk(**environ: str) -> Iterator[Desk]:
    desk = Desk()
    desk.environ |= environ
    try:
        desk.init({"a.py": "x = 1\n"})
        yield desk
        desk.aegis("hub", "stop")
        left = desk.leftovers()
    finally:
        desk.close()
    assert left == []


@pytest.fixture(scope="module")
def model() -> Iterator[ModelServer]:
    with open_model_server() as server:
        yield server


@pytest.fixture(scope="module")
def desk(model: ModelServer) -> Iterator[Desk]:
    with open_desk(AEGIS_BASE_URL=model.url, ANTHROPIC_API_KEY="sk-ant-own") as found:
        assert found.aegis("hub", "start").code == 0
        yield found


def test_a_program_reaches_the_gateway_in_three_dialects_by_its_environment_alone(
    desk: Desk, model: ModelServer
) -> None:
    done = desk.aegis(*CONNECT, "three", "--", "python3", "-c", THREE_DIALECTS)
    assert done.code == 7, done.err
    said = done.json
    assert said["chat"].endswith("data: [DONE]\n\n") and "event: message_stop" in said["messages"]
    assert '"text": "gr\\u00fc\\u00df dich"' in said["google"]
    assert '"finishReason": "STOP"' in said["google"]
    assert said["same"] and said["token"] and said["own"] is None
    until(lambda: len(_calls(desk)) == 3, "the calls are in the list")
    calls = _calls(desk)
    assert [call["agent_id"] for call in calls] == ["CLAUDE-three"] * 3
    assert {call["error"] for call in calls} == {None}


def _calls(desk: Desk) -> list[dict[str, Any]]:
    return [json.loads(line) for log in desk.files("logs/model-calls.jsonl") for line in log.read_text().splitlines()]


def test_the_token_is_in_no_argument_and_no_log_and_is_refused_after_the_end(desk: Desk) -> None:
    process = desk.start(*CONNECT, "shy", "--", *WAITING)
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "ready\n"
        token = desk.token("shy")
        assert desk.ask_gateway(token) == 200
        argv = [" ".join(item.cmdline()) for item in desk.processes()]
        assert not [line for line in argv if token in line]
    finally:
        process.terminate()
        _, err = process.communicate(timeout=20)
    assert token not in err
    assert desk.ask_gateway(token) == 401
    logs = [path for path in desk.files("logs/**/*") if path.is_file() and token in path.read_text(errors="replace")]
    assert logs == []
    assert desk.instance("shy")["word"] == "ended"


def test_its_state_is_right_before_it_has_reported_anything(desk: Desk) -> None:
    process = desk.start(*CONNECT, "quiet", "--", *WAITING)
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "ready\n"
        assert (desk.instance("quiet")["phase"], desk.instance("quiet")["word"]) == ("joined", "idle")
    finally:
        process.terminate()
        process.communicate(timeout=20)


def test_one_that_is_stopped_ends_with_all_that_it_started(desk: Desk) -> None:
    process = desk.start(*CONNECT, "stubborn", "--", "python3", "-c", STUBBORN)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    token = desk.token("stubborn")
    mine = [item for item in desk.processes() if "time.sleep(300)" in " ".join(item.cmdline())]
    assert len(mine) == 3, "connect, the program, and one that left its session"
    stopped_at = time.monotonic()
    assert desk.aegis("stop", "stubborn", "--reason", "enough").code == 0
    desk.until(lambda: desk.ask_gateway(token) == 401, what="the refusal")
    assert time.monotonic() - stopped_at < 5
    _, err = process.communicate(timeout=20)
    assert process.returncode == 128 + signal.SIGKILL
    assert "CLAUDE-stubborn was stopped: enough" in err and "could not leave" not in err
    assert psutil.wait_procs(mine, timeout=5)[1] == []
    assert desk.instance("stubborn")["word"] == "ended"
    assert desk.files("instances/stubborn") == []


def test_what_a_program_leaves_behind_in_its_group_ends_with_it(desk: Desk) -> None:
    done = desk.aegis(*CONNECT, "messy", "--", "sh", "-c", "sleep 300 & echo $!; exit 4", timeout_s=30)
    assert done.code == 4
    assert process_start_time(int(done.out)) is None


def test_without_a_command_the_variables_are_told_without_the_token(desk: Desk) -> None:
    process = subprocess.Popen(
        desk.argv(*CONNECT, "by-hand"),
        cwd=desk.root,
        env=desk.environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdin and process.stdout and process.stderr
    try:
        lines = [process.stderr.readline()]
        while "type commands" not in lines[-1]:
            lines.append(process.stderr.readline())
        token = desk.token("by-hand")
        assert token not in "".join(lines)
        exports = "".join(line for line in lines if line.startswith("  "))
        told = subprocess.run(
            ["sh", "-c", f"{exports}\nenv -0"], capture_output=True, text=True, check=True, timeout=20
        )
        variables = dict(line.split("=", 1) for line in told.stdout.split("\0") if "=" in line)
        assert variables["GEMINI_API_KEY"] == variables["OPENAI_API_KEY"] == token
        assert variables["OPENAI_BASE_URL"] == f"{desk.address().gateway_url}/v1"
        assert variables["AEGIS_INSTANCE"] == "by-hand" and "ANTHROPIC_API_KEY" not in variables
        process.stdin.write("agent:report state=testing progress=0.5\n")
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["ok"]
        assert desk.instance("by-hand")["word"] == "testing"
        assert "is being stopped" in desk.aegis("stop", "by-hand").out
        assert process.wait(20) == 0
        assert "had ended already" in desk.aegis("stop", "by-hand").out
    finally:
        process.kill()
        process.communicate()


def test_a_hub_that_restarts_leaves_a_connected_agent_its_gateway(desk: Desk) -> None:
    process = desk.start(*CONNECT, "patient", "--", *WAITING)
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "ready\n"
        before, token = desk.address(), desk.token("patient")
        assert desk.aegis("hub", "restart").code == 0
        desk.until(lambda: desk.address().gateway_url, what="the gateway")
        after = desk.address()
        assert (after.pid != before.pid, after.gateway_url) == (True, before.gateway_url)
        assert desk.ask_gateway(token) == 200
        assert desk.aegis("hub", "stop").code == 0
        assert desk.aegis("hub", "start").code == 0
        desk.until(lambda: desk.address().gateway_url, what="the gateway")
        assert desk.address().gateway_url == before.gateway_url, "its port is kept, for settings that name it"
        desk.until(lambda: desk.ask_gateway(token) == 200, what="the gateway to know the agent again")
    finally:
        process.terminate()
        process.communicate(timeout=20)


def test_a_gateway_that_cannot_start_is_told_and_stops_nothing(model: ModelServer) -> None:
    with open_desk(AEGIS_BASE_URL=model.url) as desk:
        paths = workspace_paths(workspace_key_of(desk.root), desk.environ)
        paths.create()
        paths.runtime_dir.chmod(0o755)
        assert desk.aegis("hub", "start").code == 0
        desk.until(lambda: desk.address().gateway_problem, what="the failure")
        status = desk.aegis("hub", "status", "--json").json
        assert status["gateway"]["state"] == "failed" and "the gateway did not start" in status["gateway"]["problem"]
        assert "no model gateway: the gateway did not start" in desk.aegis("hub", "status").out
        assert "the model gateway cannot serve" in paths.hub_log.read_text()
        done = desk.aegis(*CONNECT, "alone", "--", "sh", "-c", "echo ${OPENAI_BASE_URL-none} $AEGIS_INSTANCE")
        assert (done.code, done.out) == (0, "none alone\n")
        assert "no model gateway: the gateway did not start" in done.err
        paths.runtime_dir.chmod(0o700)


def test_settings_that_name_no_server_are_told(model: ModelServer) -> None:
    with open_desk() as desk:
        assert desk.aegis("hub", "start").code == 0
        config = desk.folder / "config" / "aegis-tui" / "config.toml"
        config.parent.mkdir()
        config.write_text('base_url = "nonsense"\n')
        desk.until(lambda: desk.address().gateway_problem, what="the problem")
        assert "serves no model: 'nonsense' is not" in desk.aegis("hub", "status").out
        done = desk.aegis(*CONNECT, "modest", "--", "sh", "-c", "echo ${OPENAI_BASE_URL:+set}")
        assert (done.code, done.out) == (0, "set\n") and "no models: 'nonsense'" in done.err
        config.write_text(f'base_url = "{model.url}"\n')
        desk.until(lambda: not desk.address().gateway_problem, what="the repair")
        assert desk.aegis(*CONNECT, "modest", "--", "python3", "-c", THREE_DIALECTS).code == 7


class Typist:
    """Somebody at a terminal."""

    def __init__(self, desk: Desk, *argv: str) -> None:
        self.main, other = os.openpty()
        self.seen = b""
        self.process = subprocess.Popen(
            ["setsid", "--ctty", "--wait", *argv],
            cwd=desk.root,
            env={**desk.environ, "PS1": "$ ", "TERM": "dumb"},
            stdin=other,
            stdout=other,
            stderr=other,
        )
        os.close(other)

    def type(self, keys: bytes, *, until: bytes) -> None:
        """Press keys, and wait until that is shown after what was seen before."""
        os.write(self.main, keys)
        self.wait_for(until)

    def wait_for(self, word: bytes) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self.main, selectors.EVENT_READ)
            while word not in self.seen:
                assert selector.select(20), self.seen
                self.seen += os.read(self.main, 4096)
        self.seen = self.seen.partition(word)[2]

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.main)


ASKING = """
import os, signal, sys
signal.signal(signal.SIGINT, lambda *_: os.write(1, b"interrupted"))
os.write(1, b"name?")
os.write(1, b"hello " + os.read(0, 100))
sys.exit(3)
"""


def test_a_program_has_the_terminal_and_its_keys(desk: Desk) -> None:
    """Ctrl-C and Ctrl-Z reach the program, and `connect` lets the agent leave at its end."""
    person = Typist(desk, *desk.argv(*CONNECT, "typist", "--", "python3", "-c", ASKING))
    try:
        person.wait_for(b"name?")
        person.type(b"\x03", until=b"interrupted")
        person.type(b"\x1a", until=b"^Z")
        person.type(b"you\n", until=b"hello you")
        assert person.process.wait(20) == 3
        assert desk.instance("typist")["word"] == "ended"
    finally:
        person.close()


def test_a_program_that_is_suspended_gives_the_shell_its_terminal_back(desk: Desk) -> None:
    person = Typist(desk, "bash", "--norc", "--noprofile", "-i")
    line = shlex.join(desk.argv(*CONNECT, "sleeper", "--", "python3", "-c", ASKING.replace("\n", ";").strip(";")))
    try:
        person.wait_for(b"$ ")
        person.type(f"{line}\n".encode(), until=b"joined as")
        person.wait_for(b"name?")
        person.type(b"\x1a", until=b"Stopped")
        person.type(b"echo shell-$((40 + 2))\n", until=b"shell-42")
        person.type(b"fg\n", until=b"connect")
        person.type(b"you\n", until=b"hello you")
        person.type(b"echo code-$?\n", until=b"code-3")
    finally:
        person.close()
