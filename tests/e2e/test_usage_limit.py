"""A program in a pane meets its model server's limit: its state says until when, and it goes on by itself (M19)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from aegis_tui.testing.scratch import ScratchWorkspace
from tests.limiting_proxy import LimitingProxy
from tests.workspace import SHOP, clean_workspace

MARKER = "You are PARROT"
CALL = r"""
import json, os, re, sys, time, urllib.error, urllib.request

def call(said):
    body = {"model": "m", "messages": [{"role": "user", "content": said}], "tools": [
        {"type": "function", "function": {"name": "report", "parameters": {"type": "object", "properties": {
            "status": {"type": "string"}, "summary": {"type": "string"}}, "required": ["status", "summary"]}}}]}
    headers = {"Authorization": "Bearer " + os.environ["OPENAI_API_KEY"], "Content-Type": "application/json"}
    url = os.environ["OPENAI_BASE_URL"] + "/chat/completions"
    try:
        with urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode(), headers), timeout=60):
            return 200
    except urllib.error.HTTPError as error:
        return error.code

def work(said):
    for path, text in re.findall(r"^FILE (\S+): (.*)$", said, re.M):
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        with open(path, "w") as file:
            file.write(text.replace("\\n", "\n"))
"""
HEADLESS = (
    CALL
    + r"""
said = sys.stdin.read()
status = call("MARKER " + said)
if status != 200:
    sys.exit("the model answered %d" % status)
work(said)
print("feat: add the files")
"""
)
INTERFACE = (
    CALL
    + r"""
import tty
tty.setraw(0)
os.write(1, b"\x1b[?2004h\x1b[2J\x1b[HReady to type")
all_said, box = [], b""
while True:
    box += os.read(0, 65536)
    if not box.endswith(b"\x1b[201~\r"):
        continue
    all_said.append(box[:-7].split(b"\x1b[200~")[-1].decode())
    box = b""
    if call("MARKER\n" + "\n\n".join(all_said)) == 200:
        work("\n".join(all_said))
        os.write(1, b"\r\nDone.\r\n")
    else:
        os.write(1, b"\r\nToo many requests.\r\n")
"""
)


@pytest.fixture
def workspace() -> Iterator[ScratchWorkspace]:
    with clean_workspace(SHOP) as scratch:
        folder = scratch.folder / "config" / "aegis-tui" / "agents"
        folder.mkdir(parents=True)
        (folder / "parrot.toml").write_text(
            f"""
title = "Parrot"
programs = ["python3"]

[headless]
argv = ["python3", "{{home}}/headless.py"]
prompt = "stdin"

[terminal]
argv = ["python3", "{{home}}/interface.py"]
ready = "Ready to type"

[usage_limit]
shortest_wait_s = 1.0

[environment]
OPENAI_BASE_URL = "{{gateway_v1}}"
OPENAI_API_KEY = "{{token}}"

[[files]]
path = "headless.py"
text = \'\'\'{HEADLESS.replace("MARKER", MARKER)}\'\'\'

[[files]]
path = "interface.py"
text = \'\'\'{INTERFACE.replace("MARKER", MARKER)}\'\'\'
""",
            "utf-8",
        )
        yield scratch
        scratch.aegis("hub", "stop", "--force")


def design(workspace: ScratchWorkspace) -> str:
    feature = {
        "id": "size",
        "title": "Add size",
        "brief": "FILE src/size.py: SIZE = 1\\n",
        "partition": ["src/size.py"],
        "kind": "parrot",
    }
    path = workspace.folder / "design.yaml"
    qa = {"commands": ["python3 -m unittest discover -s tests"]}
    path.write_text(json.dumps({"goal": "Sizes", "features": [feature], "qa": qa}), "utf-8")
    return str(path)


@pytest.mark.parametrize("mode", ["headless", "terminal"])
def test_a_limited_program_is_shown_with_the_time_and_goes_on_by_itself(
    workspace: ScratchWorkspace, other_server: str, mode: str
) -> None:
    with LimitingProxy(other_server, MARKER, refusals=2, pause_s="4") as proxy:
        options = ["--design", design(workspace), "--base-url", proxy.base_url, "--agent-mode", mode, "--json"]
        before = datetime.now(UTC)
        started = workspace.aegis("run", "Sizes", *options, "--detach")
        assert started.code == 0, started.err
        (item,) = workspace.until(
            lambda: [item for item in workspace.status()["instances"] if item["word"] == "limited"],
            what="the limit",
        )
        assert (datetime.fromisoformat(item["until"]) - before).total_seconds() > 3
        assert item["note"].startswith("usage limit of Parrot: HTTP 429")
        until = datetime.fromisoformat(item["until"]).astimezone()
        assert f"limited until {until:%H:%M}" in workspace.aegis("status").out
        ended = workspace.aegis("wait", started.json["run"], "--json")
        assert ended.code == 0, ended.err
    states = [event["data"] for event in workspace.events() if event["type"] == "agent:state"]
    limited = [item["state"] for item in states if item.get("until")]
    assert set(limited) == {"limited"} and len(limited) >= 2, "a limit may be reported again while it lasts"
    oid = ended.json["commit"]["oid"]
    assert workspace.git("show", f"{oid}:src/size.py") == "SIZE = 1"
    workers = [item for item in ended.json["instances"] if item["role"] == "worker"]
    assert len(workers) == 1, "the instance was neither lost nor replaced"
