"""The processes of the gateway's benchmark: model server, gateway, clients, and LiteLLM's proxy where it can be had."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from aegis_tui.config import ModelLogSettings
from scripts.bench.record import ROOT

_HERE = Path(__file__).resolve().parent
_TOKEN = "b" * 64
_VERSION = "lib/python*/site-packages/litellm-*.dist-info"
_START_S = 120.0
_INSTALL_S = 900.0


@dataclass(frozen=True, slots=True)
class Target:
    """Where the clients send their requests."""

    name: str
    port: int
    words: str
    token: str = _TOKEN


class Clients:
    """The process that sends requests and takes the times; nothing else runs in it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def turns(self, targets: list[Target], body: dict[str, Any], count: int) -> dict[str, list[float]]:
        """Requests one after the other: target's name -> milliseconds to each first token."""
        asked = {"do": "turns", "targets": [asdict(target) for target in targets], "body": body, "count": count}
        turns: dict[str, list[float]] = self._ask(asked)
        return turns

    def together(self, target: Target, body: dict[str, Any], count: int, spacing_s: float) -> dict[str, Any]:
        """Streams at the same time; see `gateway_client.together` for what comes back."""
        asked = {"do": "together", "target": asdict(target), "body": body, "count": count, "spacing_s": spacing_s}
        return self._ask(asked)

    def _ask(self, wanted: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(wanted) + "\n")
        self._process.stdin.flush()
        reply: dict[str, Any] = json.loads(self._process.stdout.readline())
        if "error" in reply:
            raise RuntimeError(reply["error"])
        return reply


@contextlib.contextmanager
def open_clients() -> Iterator[Clients]:
    """The clients' process while the context is open."""
    with _process([sys.executable, str(_HERE / "gateway_client.py")]) as process:
        yield Clients(process)


@contextlib.contextmanager
def model_server() -> Iterator[Target]:
    """The model server, to which requests can be sent directly."""
    with _process([sys.executable, str(_HERE / "gateway_upstream.py")]) as process:
        assert process.stdout is not None
        yield Target("direct", int(process.stdout.readline()), "direct")


@contextlib.contextmanager
def gateway(upstream: Target) -> Iterator[Target]:
    """Our gateway in front of a model server, with folders of its own; it stores what is said, as by default."""
    with tempfile.TemporaryDirectory(prefix="ab") as name:
        runtime, state = Path(name) / "r", Path(name) / "s"
        runtime.mkdir(mode=0o700)
        state.mkdir()
        digest = hashlib.sha256(_TOKEN.encode()).hexdigest()
        access: dict[str, Any] = {
            "upstream": f"http://127.0.0.1:{upstream.port}/v1",
            "instances": {digest: "NATIVE-w01"},
            "kept_mb": ModelLogSettings().kept_mb,
        }
        (runtime / "gateway-map.json").write_text(json.dumps(access))
        argv = [sys.executable, "-m", "aegis_tui.gateway", "--runtime", str(runtime), "--state", str(state)]
        with _process(argv, quiet=True) as process:
            facts = runtime / "gateway.json"
            _wait(facts.exists, process)
            port = int(json.loads(facts.read_text())["url"].rpartition(":")[2])
            yield Target("gateway", port, "through the gateway")


@contextlib.contextmanager
def litellm(upstream: Target) -> Iterator[Target | None]:
    """LiteLLM's proxy in front of a model server; None if it cannot be installed."""
    program = _litellm_program()
    if program is None:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="ab") as name, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        base = f"http://127.0.0.1:{upstream.port}/v1"
        models = [
            {"model_name": model, "litellm_params": {"model": f"openai/{model}", "api_base": base, "api_key": "none"}}
            for model in ("paced", "flat")
        ]
        config = Path(name) / "config.json"  # JSON is YAML
        config.write_text(json.dumps({"model_list": models, "general_settings": {"master_key": _TOKEN}}))
        environ = {**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR"}
        place = ["--host", "127.0.0.1", "--port", str(port), "--num_workers", "1"]
        argv = [str(program), "--config", str(config), *place, "--telemetry", "False"]
        with _process(argv, quiet=True, environ=environ) as process:
            _wait(lambda: _answers(f"http://127.0.0.1:{port}/health/liveliness"), process)
            (version,) = (path.name.split("-")[1] for path in program.parent.parent.glob(_VERSION))
            yield Target("litellm", port, f"through LiteLLM's proxy {version.removesuffix('.dist')}")


def _litellm_program() -> Path | None:
    """Return LiteLLM's program, the newest that can be had, installed at the first time; None if there is none."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "aegis-tui" / "bench" / f"litellm-py{sys.version_info[0]}.{sys.version_info[1]}"
    program, ready = folder / "bin" / "litellm", folder / "ready"
    if ready.exists():
        return program
    sys.stderr.write(f"installing LiteLLM in {folder}\n")
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "check": True}
    pip = [str(folder / "bin" / "pip"), "install", "-q", "litellm[proxy]"]
    try:
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], timeout=120, **quiet)
        subprocess.run(pip, timeout=_INSTALL_S, **quiet)
    except (OSError, subprocess.SubprocessError) as error:
        sys.stderr.write(f"LiteLLM is left out: {error}\n")
        return None
    ready.touch()
    return program


@contextlib.contextmanager
def _process(
    argv: list[str], *, quiet: bool = False, environ: dict[str, str] | None = None
) -> Iterator[subprocess.Popen[str]]:
    """Start a program with its input and, unless it is to be quiet, its output at a pipe; kill it at the end."""
    lost = subprocess.DEVNULL
    process = subprocess.Popen(
        argv,
        cwd=ROOT,
        env=environ,
        stdin=subprocess.PIPE,
        stdout=lost if quiet else subprocess.PIPE,
        stderr=lost if quiet else None,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def _wait(is_ready: Any, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + _START_S
    while not is_ready():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"{process.args!r} did not start")
        time.sleep(0.05)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False
