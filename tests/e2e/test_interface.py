"""What becomes of a prompt for a program with its own interface: `send --wait` has four answers (PANE-4)."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from aegis_tui.sdk.discovery import workspace_key_of
from aegis_tui.testing.scratch import ScratchWorkspace
from tests.workspace import SHOP, clean_workspace

pytestmark = pytest.mark.timeout(240)

# It calls its model with what it is told, and works until somebody presses Esc. Told DEAF, it calls nothing; /quit ends
# it for good.
INTERFACE = r"""
import json, os, subprocess, sys, tty, urllib.request

gone = os.environ["HOME"] + "/gone"
if os.path.exists(gone):
    sys.exit(3)
tty.setraw(0)
os.write(1, b"\x1b[?2004hReady to type")

def call(said):
    body = {"model": "m", "messages": [{"role": "user", "content": said}]}
    headers = {"Authorization": "Bearer " + os.environ["OPENAI_API_KEY"], "Content-Type": "application/json"}
    url = os.environ["OPENAI_BASE_URL"] + "/chat/completions"
    try:
        urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode(), headers), timeout=60).read()
    except OSError:
        pass

box, work = b"", None
while True:
    box += os.read(0, 65536)
    if box == b"\x1b":
        box = b""
        if work is not None:
            work.kill()
            work.wait()
    if not box.endswith(b"\r"):
        continue
    said = box[:-1].replace(b"\x1b[200~", b"").replace(b"\x1b[201~", b"").decode()
    box = b""
    if said == "/quit":
        open(gone, "w").close()
        sys.exit(0)
    if "DEAF" not in said:
        call(said)
        work = subprocess.Popen(["sleep", "600"])
"""
KIND = f"""title = "Parrot"
programs = ["python3"]
dialect = "chat"

[headless]
argv = ["python3", "-c", "pass", "{{prompt}}"]

[terminal]
argv = ["python3", "{{home}}/interface.py"]
ready = "Ready to type"

[environment]
OPENAI_BASE_URL = "{{gateway_v1}}"
OPENAI_API_KEY = "{{token}}"

[[files]]
path = "interface.py"
text = '''{INTERFACE}'''
"""


@pytest.fixture
def workspace() -> Iterator[ScratchWorkspace]:
    with clean_workspace(SHOP) as scratch:
        kinds = scratch.folder / "config" / "aegis-tui" / "agents"
        kinds.mkdir(parents=True)
        (kinds / "parrot.toml").write_text(KIND, "utf-8")
        yield scratch
        scratch.aegis("hub", "stop", "--force")


def press(workspace: ScratchWorkspace, instance: str, *keys: str) -> None:
    """Press keys in the pane of an instance, as a person who has attached to it."""
    server = ["tmux", "-L", f"aegis-{workspace_key_of(workspace.root)}"]
    argv = [*server, "send-keys", "-t", f"=aegis:{instance}", *keys]
    subprocess.run(argv, env=workspace.environ, check=True, capture_output=True, timeout=10)


def send(workspace: ScratchWorkspace, instance: str, text: str, wait_s: int) -> tuple[str, int]:
    sent = workspace.aegis("send", instance, text, "--wait", str(wait_s), "--json")
    return sent.json["delivery"], sent.code


def answers(workspace: ScratchWorkspace) -> list[str]:
    return [event["data"]["delivery"] for event in workspace.events() if event["type"] == "message:acked"]


def interrupt(workspace: ScratchWorkspace, instance: str) -> None:
    """End the program's turn, and return once the instance is idle."""
    press(workspace, instance, "Escape")
    wait_for(workspace, instance, "idle")


def wait_for(workspace: ScratchWorkspace, instance: str, state: str) -> Any:
    def find() -> list[Any]:
        items = workspace.status()["instances"]
        return [item for item in items if item["agent_id"].endswith(f"-{instance}") and item["state"] == state]

    return workspace.until(find, what=f"{instance} in the state {state}", timeout_s=60)


def test_a_prompt_is_delivered_queued_unknown_or_refused(workspace: ScratchWorkspace, other_server: str) -> None:
    feature = {"id": "size", "title": "Add size", "brief": "Work.", "partition": ["src/size.py"], "kind": "parrot"}
    path = workspace.folder / "design.yaml"
    path.write_text(json.dumps({"goal": "Sizes", "features": [feature], "qa": {"commands": ["true"]}}), "utf-8")
    options = ["--design", str(path), "--base-url", other_server, "--agent-mode", "terminal", "--json", "--detach"]
    started = workspace.aegis("run", "Sizes", *options)
    assert started.code == 0, started.err
    workspace.until(lambda: answers(workspace) == ["delivered"], what="the first prompt", timeout_s=60)
    assert send(workspace, "w01", "Later.", 2) == ("queued", 0)
    press(workspace, "w01", "Escape")
    workspace.until(lambda: answers(workspace) == ["delivered"] * 2, what="the answer for the queued prompt")
    interrupt(workspace, "w01")
    assert send(workspace, "w01", "Now.", 60) == ("delivered", 0)
    interrupt(workspace, "w01")
    assert send(workspace, "w01", "DEAF", 90) == ("unknown", 1)
    workspace.until(lambda: len(answers(workspace)) == 5, what="the prompt of the next instance", timeout_s=60)
    interrupt(workspace, "w02")
    press(workspace, "w02", "/quit", "Enter")
    assert send(workspace, "w02", "Again.", 60) == ("refused", 3)
    workspace.aegis("cancel", started.json["run"])
