"""`aegis-tui vllm` with a program named vllm that behaves like it: a worker process of its own, /health, /metrics."""

import asyncio
import contextlib
import json
import os
import shlex
import socket
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from aegis_tui.adapters.vllm import server
from aegis_tui.cli.vllm_logs import GrowingLog
from aegis_tui.errors import Unavailable
from tests.forked import Program, run_command

PROGRAM = """#!{python}
import json, os, subprocess, sys, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
arguments = sys.argv
if "broken" in arguments[2]:
    sys.exit("CUDA is not available")
if "slow" in arguments[2]:
    time.sleep(600)
worker = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)  # " + arguments[2]])
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        bodies = {{
            "/health": b"",
            "/v1/models": json.dumps({{"data": [{{"id": arguments[2], "owned_by": "vllm"}}]}}).encode(),
            "/metrics": b"vllm:num_requests_running 3.0\\nvllm:kv_cache_usage_perc 0.25\\n",
        }}
        body = bodies.get(self.path)
        self.send_response(404 if body is None else 200)
        self.end_headers()
        self.wfile.write(body or b"")
    def log_message(self, *words):
        print(*words, flush=True)
ThreadingHTTPServer(("127.0.0.1", int(arguments[arguments.index("--port") + 1])), Handler).serve_forever()
"""


class Machine:
    """An account with a vLLM of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "venv" / "bin").mkdir(parents=True)
        program = folder / "venv" / "bin" / "vllm"
        program.write_text(PROGRAM.format(python=sys.executable))
        program.chmod(0o755)
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = str(probe.getsockname()[1])

    @property
    def environ(self) -> dict[str, str]:
        return {
            **os.environ,
            "HOME": str(self.folder),
            "XDG_STATE_HOME": str(self.folder / "state"),
            "AEGIS_VENV": str(self.folder / "venv"),
            "AEGIS_TOOL_PARSER": "hermes",
        }

    def vllm(self, *arguments: str) -> tuple[int, str, str]:
        done = run_command("vllm", *arguments, folder=self.folder, environ=self.environ)
        return done.returncode, done.stdout, done.stderr

    @contextlib.contextmanager
    def following(self) -> Iterator[tuple[Program, Path]]:
        """A `vllm logs --follow`, and the file with what it prints."""
        with (self.folder / "followed").open("wb") as out, Path(os.devnull).open("rb") as nothing:
            argv = ["aegis_tui", "vllm", "logs", "--follow", "--lines", "1"]
            files = (nothing.fileno(), out.fileno(), out.fileno())
            program = Program(argv, folder=self.folder, environ=self.environ, files=files)
        try:
            yield program, self.folder / "followed"
        finally:
            program.kill()
            program.wait(10)

    def arguments(self) -> list[list[str]]:
        """The command lines of what runs here."""
        found = (process.info["cmdline"] or [] for process in psutil.process_iter(["cmdline"]))
        return [words for words in found if str(self.folder) in " ".join(words)]

    def workers(self) -> list[int]:
        """Processes of the server that were started here."""
        mark = str(self.folder / "model")
        return [
            process.pid
            for process in psutil.process_iter(["cmdline", "status"])
            if process.info["status"] != psutil.STATUS_ZOMBIE and mark in " ".join(process.info["cmdline"] or ())
        ]


def until(condition: Callable[[], object], what: str) -> None:
    """Return when the condition holds."""
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain until {what}"
        time.sleep(0.02)


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    machine = Machine(tmp_path)
    yield machine
    machine.vllm("stop")
    assert machine.workers() == []


def test_a_server_is_started_found_looked_at_and_ended_with_its_workers(machine: Machine) -> None:
    model = str(machine.folder / "model")
    code, out, err = machine.vllm("start", model, "--port", machine.port, "--json")
    assert code == 0, err
    first = json.loads(out)
    assert first["endpoints"] == [{"url": f"http://127.0.0.1:{machine.port}/v1", "model": model, "healthy": True}]
    assert len(machine.workers()) == 2
    assert json.loads(machine.vllm("start", model, "--port", machine.port, "--json")[1])["pid"] == first["pid"]
    code, out, _ = machine.vllm("status", "--json")
    metrics = json.loads(out)["metrics"]
    assert (code, metrics["running"], metrics["kv_cache"]) == (0, 3, 0.25)
    assert set(metrics) == {"running", "waiting", "kv_cache", "prefix_hit_rate", "tokens_per_s", "ttft_s"}
    assert "GET /health" in machine.vllm("logs")[1]
    assert json.loads(machine.vllm("stop", "--json")[1])["stopped"]
    assert machine.workers() == []
    assert not json.loads(machine.vllm("stop", "--json")[1])["stopped"]


def test_a_log_is_followed_across_a_new_start_until_the_server_has_ended(machine: Machine) -> None:
    def ask(word: str) -> None:
        with contextlib.suppress(OSError):  # the answer is 404, with the path in the log
            urllib.request.urlopen(f"http://127.0.0.1:{machine.port}/{word}", timeout=5)

    model = str(machine.folder / "model")
    assert machine.vllm("logs", "--follow")[0] == 2
    machine.vllm("start", model, "--port", machine.port)
    with machine.following() as (program, said):
        until(lambda: said.read_text().count("\n") == 1, "the last line is printed")
        ask("first")
        until(lambda: "/first" in said.read_text(), "what the server adds is printed")
        [log] = machine.folder.rglob("vllm.log")
        log.write_text("")
        ask("second")
        until(lambda: "/second" in said.read_text(), "a log that was emptied is read on")
        machine.vllm("stop")
        assert program.wait(10) == 0
        assert said.read_text().endswith("the vLLM server is no longer running\n")
    with machine.following() as (program, said):
        assert program.wait(10) == 0
        assert "/second" in said.read_text()


@pytest.mark.parametrize("cuts", [1, 3, 100])
def test_lines_are_whole_wherever_the_writer_stopped(tmp_path: Path, cuts: int) -> None:
    log = tmp_path / "vllm.log"
    text = "load 1%\rload 2%\r\nfertig: grün\n\nhalf".encode()
    with log.open("wb", buffering=0) as writer, log.open("rb") as file:
        reader = GrowingLog(file)
        lines = reader.last(10)
        for start in range(0, len(text), cuts):
            writer.write(text[start : start + cuts])
            lines += reader.added()
        assert lines == ["load 1%", "load 2%", "fertig: grün", ""]
        assert (reader.rest(), reader.rest()) == (["half"], [])


def test_a_server_that_ends_at_once_is_told_with_its_words(machine: Machine) -> None:
    code, out, _ = machine.vllm("start", "broken", "--port", machine.port, "--json")
    assert code == 5
    assert "CUDA is not available" in json.loads(out)["error"]["message"]


def test_a_server_that_loads_its_model_is_no_server_that_is_missing(machine: Machine) -> None:
    model = str(machine.folder / "model-slow")
    code, out, err = machine.vllm("start", model, "--port", machine.port, "--wait", "1")
    assert code == 0, err
    assert "is still loading" in out
    code, _, err = machine.vllm("status")
    assert code == 5 and "probably still loading" in err and "vllm logs --follow" in err
    assert machine.vllm("stop")[0] == 0


def test_where_nothing_answers_status_ends_with_5(machine: Machine) -> None:
    code, out, _ = machine.vllm("status", "--base-url", "http://127.0.0.1:9", "--json")
    assert (code, json.loads(out)["error"]["code"]) == (5, "model.unavailable")


def test_an_address_outside_the_boundary_is_refused(machine: Machine) -> None:
    code, out, _ = machine.vllm("status", "--base-url", "http://192.0.2.7", "--json")
    assert (code, json.loads(out)["ok"]) == (3, False)


def test_the_command_can_be_shown_without_starting_anything(machine: Machine) -> None:
    code, out, _ = machine.vllm("start", "a model", "--print", "--port", machine.port, "--json")
    words = json.loads(out)["command"]
    assert code == 0
    assert (words[words.index("serve") + 1], words[words.index("--port") + 1]) == ("a model", machine.port)
    assert shlex.split(machine.vllm("start", "m", "--print")[1])[0] == "VLLM_NO_USAGE_STATS=1"


def test_what_follows_two_dashes_is_given_to_vllm(machine: Machine) -> None:
    for words in (("Qwen3-8B", "--", "--max-num-seqs", "3"), ("--print", "--", "--max-num-seqs", "3")):
        code, out, err = machine.vllm("start", "--print", "--port", machine.port, *words)
        assert code == 0, err
        assert shlex.split(out)[-2:] == ["--max-num-seqs", "3"]
    code, out, _ = machine.vllm("start", str(machine.folder / "model"), "--port", machine.port, "--", "--own-option")
    assert code == 0
    assert any("--own-option" in words for words in machine.arguments())


def test_two_models_are_wrong_usage(machine: Machine) -> None:
    code, _, err = machine.vllm("start", "one", "two", "--print")
    assert code == 2
    assert "two models are given: one and two" in err and "after --" in err


def test_a_parser_can_be_named_by_an_option(machine: Machine) -> None:
    words = shlex.split(machine.vllm("start", "x", "--print", "--tool-parser", "olmo3")[1])
    assert words[words.index("--tool-call-parser") + 1] == "olmo3"


def test_a_script_that_does_not_answer_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_SCRIPT_TIMEOUT_S", 0.2)
    shell = tmp_path / "bash"
    shell.write_text("#!/bin/sh\nexec sleep 60\n")
    shell.chmod(0o755)
    local = server.VllmServer(tmp_path / "state", {"PATH": f"{tmp_path}:{os.environ['PATH']}"})
    for ask in (local.command, lambda *words: asyncio.run(local.start(*words, wait_s=1))):
        with pytest.raises(Unavailable, match=r"start-vllm\.sh did not check the settings within 0\.2 s") as told:
            ask("model", 8001)
        assert "--print model" in told.value.hint
