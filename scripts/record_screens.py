"""Records what agent programs show while idle, running, waiting for a permission and done, as fixtures (PANE-5).

Run as `python scripts/record_screens.py KIND...`. Each program runs on a tmux server of its own at two sizes, with the
scripted model server, in its mode that asks for permission. `tests/domain/hosting/screens` gets one file per kind and
size; the program's version is in it. The rules of the kind files are tested against these files.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import tomllib
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from aegis_tui.adapters.agents.search_path import search_path  # noqa: E402
from aegis_tui.agent.hosted.home import write_home  # noqa: E402
from aegis_tui.domain.hosting.kind_file import KindFile, fill  # noqa: E402
from aegis_tui.testing.scripted_llm import ScriptedServer  # noqa: E402

PLACE = Path("/tmp/shop")
"""Where the programs work; the path is on their screens, so it is always the same."""
SCREENS = ROOT / "tests" / "domain" / "hosting" / "screens"
SIZES = ((80, 24), (160, 48))
SOCKET = f"record-screens-{os.getpid()}"
ASKING = {"claude-code": "manual", "codex": "read-only", "gemini-cli": "default", "qwen-code": "default"}
"""The permission mode of a kind in which it asks before it runs a command."""
ASKS_FOR_TRUST = ("claude-code", "codex")
"""The kinds whose programs ask whether a folder is trusted."""
SAID = "I make a file."
STEPS: list[dict[str, object]] = [
    {"tool": "cli:shell", "args": {"command": "touch made.txt"}, "say": SAID, "gate": "first"},
    {"text": "The file made.txt is there.", "gate": "last"},
]
ESCALATED = {"cmd": "touch made.txt", "sandbox_permissions": "require_escalated", "justification": "May I make a file?"}
"""Codex asks only if its model says that a command has to run outside its sandbox."""
FAKE_MCP = """
import json, os, sys, threading, time
def follow(parent):
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(0)
threading.Thread(target=follow, args=(os.getppid(),), daemon=True).start()
for line in sys.stdin:
    asked = json.loads(line)
    if "id" not in asked:
        continue
    version = asked.get("params", {}).get("protocolVersion", "2025-06-18")
    hello = {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": {"name": "aegis", "version": "1"}}
    known = {"initialize": hello, "tools/list": {"tools": []}, "ping": {}}
    print(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": known.get(asked["method"], {})}), flush=True)
"""
"""A tool server without tools, which ends with its program: Codex does not start without it."""
QUIET_S, LONGEST_S = 2.5, 60.0


def tmux(*argv: str) -> str:
    """Run a tmux command on the private server and return what it prints."""
    return subprocess.run(
        ["tmux", "-u", "-L", SOCKET, "-f", f"{PLACE}/tmux.conf", *argv], check=True, capture_output=True, text=True
    ).stdout


def screen() -> list[str]:
    """Return the lines that the pane shows."""
    return tmux("capture-pane", "-p", "-t", "rec").split("\n")


def until(check: Callable[[], bool], words: str) -> None:
    """Wait until `check` is true; after a minute, print the screen and give up."""
    end = time.monotonic() + LONGEST_S
    while not check():
        if time.monotonic() > end:
            sys.stderr.write("\n".join(screen()))
            raise SystemExit(f"not seen within {LONGEST_S:.0f} s: {words}")
        time.sleep(0.2)


def quiet() -> None:
    """Return once the screen has not changed for some seconds, or a minute has passed, as with a moving interface."""
    last, since, end = screen(), time.monotonic(), time.monotonic() + 20.0
    while time.monotonic() - since < QUIET_S and time.monotonic() < end:
        time.sleep(0.2)
        if (now := screen()) != last:
            last, since = now, time.monotonic()


def shot() -> dict[str, object]:
    """Return the title and the lines of the screen.

    In place of the home folder of whoever records, the lines have `/user`, cut or filled to the same length, so that
    nothing moves.
    """
    home = str(Path.home())
    lines = [line.replace(home, "/user"[: len(home)].ljust(len(home), "r")).rstrip() for line in screen()]
    while lines and not lines[-1]:
        lines.pop()
    title = tmux("display-message", "-p", "-t", "rec", "#{pane_title}").rstrip("\n")
    return {"title": "host" if title == socket.gethostname() else title, "lines": lines}


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """Make the repository, and remove it at the end together with the tmux server."""
    PLACE.mkdir()
    try:
        subprocess.run(["git", "init", "-q", str(PLACE / "repo")], check=True)
        (PLACE / "mcp.py").write_text(FAKE_MCP)
        python = PLACE / "python"
        python.write_text(f"#!/bin/sh\nexec {sys.executable} {PLACE}/mcp.py\n")
        python.chmod(0o755)
        (PLACE / "home").mkdir()
        yield PLACE
    finally:
        with contextlib.suppress(subprocess.CalledProcessError):
            tmux("kill-server")
        (Path(os.environ.get("TMUX_TMPDIR", "/tmp")) / f"tmux-{os.getuid()}" / SOCKET).unlink(missing_ok=True)
        while PLACE.exists():  # a program that ends may still write
            time.sleep(0.5)
            shutil.rmtree(PLACE, ignore_errors=True)


def distrust(home: Path) -> None:
    """Remove what the configuration says of folders that are trusted, so that the program asks."""
    claude, codex = home / ".claude.json", home / ".codex" / "config.toml"
    if claude.exists():
        claude.write_text(json.dumps({**json.loads(claude.read_text()), "projects": {}}))
    if codex.exists():
        codex.write_text(re.sub(r"(?ms)^\[projects\..*?(?=^\[|\Z)", "", codex.read_text()))


def start(name: str, kind: KindFile, base_url: str, size: tuple[int, int], *, trusts: bool = True) -> None:
    """Start the program of a kind in a pane of that size; if it does not trust the folder, it asks."""
    home = PLACE / "home"
    values = {
        "gateway": base_url.removesuffix("/v1"),
        "gateway_v1": base_url,
        "guard_after": "true",
        "guard_before": "true",
        "hear": "true",
        "home": str(home),
        "instance": "w01",
        "model": "scripted",
        "noted": "true",
        "permission": ASKING.get(name, ""),
        "python": str(PLACE / "python"),
        "repository": str(PLACE / "main"),
        "session": str(uuid.uuid4()),
        "token": "x",
        "worktree": str(PLACE / "repo"),
    }
    write_home(home, kind.files, values)
    if not trusts:
        distrust(home)
    config = home / ".codex" / "config.toml"
    if config.exists():
        config.write_text(config.read_text().replace('approval_policy = "never"', 'approval_policy = "on-request"'))
    asks = home / "opencode.json"
    if asks.exists():
        asks.write_text(asks.read_text().replace('"bash": "allow"', '"bash": "ask"'))
    assert kind.terminal is not None
    argv = [fill(part, values) for part in kind.terminal.argv]
    argv = ["on-request" if part == "never" else part for part in argv if part != "Bash"]
    variables = {key: fill(value, values) for key, value in kind.environment.items()}
    variables |= {"HOME": str(home), "PATH": search_path(os.environ), "AEGIS_NOTICES": str(PLACE)}
    given = [text for key, value in variables.items() for text in ("-e", f"{key}={value}")]
    width, height = map(str, size)
    (PLACE / "tmux.conf").write_text("set -g remain-on-exit on\n")
    tmux("new-session", "-d", "-s", "rec", "-x", width, "-y", height, "-c", str(PLACE / "repo"), *given, *argv)


def kind_of(name: str) -> KindFile:
    """Return the content of a shipped kind file."""
    path = ROOT / "aegis_tui" / "adapters" / "agents" / "kinds" / f"{name}.toml"
    return KindFile.model_validate(tomllib.loads(path.read_text("utf-8")))


async def record_trust(name: str, size: tuple[int, int]) -> dict[str, object]:
    """Start the program in a folder that it does not trust and return what it shows."""
    with scratch() as place:
        (place / "scenario").mkdir()
        (place / "scenario" / "rec.json").write_text(json.dumps({"steps": [{"text": SAID}]}))
        async with ScriptedServer(place / "scenario", default_script="rec") as server:
            start(name, kind_of(name), server.base_url, size, trusts=False)
            return await asyncio.to_thread(first_screen)


def first_screen() -> dict[str, object]:
    """Wait for the program's first screen and return it."""
    until(lambda: any(line.strip() for line in screen()), "the interface")
    quiet()
    return shot()


async def record(name: str, size: tuple[int, int]) -> dict[str, object]:
    """Run the program once at that size and return what it showed in each state."""
    kind = kind_of(name)
    with scratch() as place:
        folder = place / "scenario"
        folder.mkdir()
        first = {**STEPS[0], "tool": "exec_command", "args": ESCALATED} if name == "codex" else STEPS[0]
        (folder / "rec.json").write_text(json.dumps({"scripts": [{"steps": [first, STEPS[1]]}]}))
        async with ScriptedServer(folder, default_script="rec", gate_timeout_s=120.0) as server:
            start(name, kind, server.base_url, size)
            return await asyncio.to_thread(states, server, asyncio.get_running_loop())


def states(server: ScriptedServer, loop: asyncio.AbstractEventLoop) -> dict[str, object]:
    """Lead the program through its states and return the screen of each."""
    taken: dict[str, object] = {}
    until(lambda: any(line.strip() for line in screen()), "the interface")
    quiet()
    taken["idle"] = shot()
    tmux("set-buffer", "make a file")
    tmux("paste-buffer", "-p", "-r", "-t", "rec")
    time.sleep(1.0)
    tmux("send-keys", "-t", "rec", "Enter")
    until(lambda: server.held("first") > 0, "a call to the model")
    time.sleep(2.0)
    taken["running"] = shot()
    loop.call_soon_threadsafe(server.open_gate, "first")
    time.sleep(2.0)
    quiet()
    taken["asking"] = shot()
    tmux("send-keys", "-t", "rec", "Enter")
    until(lambda: server.held("last") > 0, "the second call to the model")
    loop.call_soon_threadsafe(server.open_gate, "last")
    time.sleep(2.0)
    quiet()
    taken["done"] = shot()
    return taken


def version_of(program: str) -> str:
    """Return the version that a program prints."""
    run = subprocess.run(
        [program, "--version"],
        env={**os.environ, "PATH": search_path(os.environ)},
        check=True,
        capture_output=True,
        text=True,
    )
    return next(part for part in run.stdout.split() if part[:1].isdigit())


def main() -> int:
    """Record the kinds that are named; 1 if one of them cannot be."""
    os.environ["PATH"] = search_path(os.environ)
    for name in sys.argv[1:]:
        kind = kind_of(name)
        version = version_of(kind.programs[0])
        for width, height in SIZES:
            taken = asyncio.run(record(name, (width, height)))
            if name in ASKS_FOR_TRUST:
                taken["trust"] = asyncio.run(record_trust(name, (width, height)))
            SCREENS.mkdir(parents=True, exist_ok=True)
            file = SCREENS / f"{name}-{width}x{height}.json"
            facts = {"kind": name, "version": version, "width": width, "height": height, "states": taken}
            file.write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n", "utf-8")
            sys.stdout.write(f"recorded {name} {version} at {width}x{height}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
