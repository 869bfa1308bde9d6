"""A person adds an agent kind by one TOML file; its program does a worker's task in the sandbox (AGENT-1, SEC-1)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from aegis_tui.testing.scratch import ScratchWorkspace
from tests.workspace import SHOP, clean_workspace

PROGRAM = r"""
import json, os, re, socket, subprocess, sys, urllib.request

said = sys.stdin.read()
url, key = os.environ["OPENAI_BASE_URL"], os.environ["OPENAI_API_KEY"]
texts = {"status": {"type": "string"}, "summary": {"type": "string"}}
schema = {"type": "object", "properties": texts, "required": ["status", "summary"]}
tool = {"type": "function", "function": {"name": "report", "parameters": schema}}
body = {"model": sys.argv[1], "messages": [{"role": "user", "content": "Say yes."}], "tools": [tool], "stream": True}
headers = {"Authorization": "Bearer " + key, "Content-Type": "application/json"}
request = urllib.request.Request(url + "/chat/completions", json.dumps(body).encode(), headers)
with urllib.request.urlopen(request, timeout=30) as answer:
    model_said = answer.read().decode()
for path, text in re.findall(r"^FILE (\S+): (.*)$", said, re.M):
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    with open(path, "w") as file:
        file.write(text.replace("\\n", "\n"))
tried = {}
for name, place in (("checkout", json.load(open(os.environ["HOME"] + "/places.json"))["checkout"] + "/escaped"),):
    try:
        open(place, "w").close()
        tried[name] = "written"
    except OSError as error:
        tried[name] = "refused"
try:
    socket.create_connection(("192.0.2.1", 80), 2)
    tried["network"] = "reached"
except OSError:
    tried["network"] = "refused"
try:
    socket.getaddrinfo("updates.parrot.example", 443)
    tried["name"] = "found"
except socket.gaierror as error:
    tried["name"] = "refused" if error.errno == socket.EAI_NONAME else str(error)
subprocess.Popen(["sleep", "600"], start_new_session=True)
print("tried " + json.dumps(tried))
print("the model said " + json.dumps(model_said))
print("feat: add the %s" % ("files of the parrot",))
"""


@pytest.fixture
def workspace() -> Iterator[ScratchWorkspace]:
    with clean_workspace(SHOP) as scratch:
        yield scratch


HOOKS = """
[[files]]
path = "hooks.json"
text = '{"before": <<guard_before>>}'
"""


def add_parrot(workspace: ScratchWorkspace, more: str = "") -> None:
    folder = workspace.folder / "config" / "aegis-tui" / "agents"
    folder.mkdir(parents=True)
    (folder / "parrot.toml").write_text(
        f"""
title = "a parrot"
programs = ["python3"]

[headless]
argv = ["python3", "{{home}}/parrot.py", "{{model}}"]
prompt = "stdin"

[environment]
OPENAI_BASE_URL = "{{gateway_v1}}"
OPENAI_API_KEY = "{{token}}"

[[files]]
path = "parrot.py"
text = \'\'\'{PROGRAM}\'\'\'

[[files]]
path = "places.json"
text = \'\'\'{{"checkout": <<repository>>}}\'\'\'
{more}""",
        "utf-8",
    )


def design(workspace: ScratchWorkspace) -> str:
    features: list[dict[str, Any]] = [
        {
            "id": name,
            "title": f"Add {name}",
            "brief": f"FILE src/{name}.py: {name.upper()} = 1\\n",
            "partition": [f"src/{name}.py"],
            "kind": kind,
        }
        for name, kind in (("size", "parrot"), ("age", "native"))
    ]
    path = workspace.folder / "design.yaml"
    qa = {"commands": ["python3 -m unittest discover -s tests"]}
    path.write_text(json.dumps({"goal": "Sizes", "features": features, "qa": qa}), "utf-8")
    return str(path)


def test_a_kind_of_ones_own_works_beside_the_built_in_agent_from_dispatch_to_the_commit(
    workspace: ScratchWorkspace, other_server: str
) -> None:
    add_parrot(workspace)
    options = ("--design", design(workspace), "--base-url", other_server, "--headless", "--json")
    answer = workspace.aegis("run", "Sizes", *options)
    report = answer.json
    assert answer.code == 0 and report["ok"], (report.get("error"), answer.err)
    kinds = {item["feature"]: (item["id"], item["kind"]) for item in report["instances"] if item["role"] == "worker"}
    assert kinds["size"][1] == "parrot" and kinds["age"][1] == "native"
    changed = workspace.git("diff", "--name-only", "main", report["commit"]["oid"]).split()
    assert changed == ["src/age.py", "src/size.py"]
    assert not (workspace.root / "escaped").exists()
    log = next((workspace.folder / "state").rglob(f"{kinds['size'][0]}.log")).read_text("utf-8")
    assert '"checkout": "refused"' in log and '"network": "refused"' in log
    assert "the model said" in log
    tokens = next(item["tokens"] for item in report["instances"] if item["id"] == kinds["size"][0])
    assert tokens["prompt"] > 0, "the gateway accounts the program's calls to its instance"
    assert '"name": "refused"' in log and "Refused access to updates.parrot.example" in log
    looked_up = {item["agent_id"]: item["blocked_names"] for item in report["instances"] if item["blocked_names"]}
    assert looked_up == {f"PARROT-{kinds['size'][0]}": ["updates.parrot.example"]}


def test_strict_mode_refuses_a_kind_that_does_not_ask_before_its_edits(
    workspace: ScratchWorkspace, other_server: str
) -> None:
    add_parrot(workspace)
    strict = ("--base-url", other_server, "--headless", "--json", "--sandbox", "strict")
    chosen = workspace.aegis("run", "Sizes", "--design", design(workspace), *strict)
    assert chosen.code == 3 and chosen.json["error"]["code"] == "design"
    assert "features[0].kind: the kind parrot cannot be started: it does not ask" in chosen.json["error"]["message"]
    for_all = workspace.aegis("run", "Sizes", "--yes", "--kind", "parrot", *strict)
    assert for_all.code == 3 and for_all.json["error"]["code"] == "agent.guard"
    assert "the agent kind parrot is refused: it does not ask before each edit" in for_all.json["error"]["message"]
    assert workspace.aegis("runs", "--json").json["runs"] == [], "nothing was dispatched"


def test_strict_mode_takes_a_kind_whose_guard_works(workspace: ScratchWorkspace, other_server: str) -> None:
    add_parrot(workspace, HOOKS)
    options = ("--design", design(workspace), "--base-url", other_server, "--headless", "--json", "--sandbox", "strict")
    answer = workspace.aegis("run", "Sizes", *options)
    report = answer.json
    assert answer.code == 0 and report["ok"], (report.get("error"), answer.err)
    worker = next(item["id"] for item in report["instances"] if item["kind"] == "parrot")
    log = next((workspace.folder / "state").rglob(f"{worker}.log")).read_text("utf-8")
    assert "Writes sandbox, commit hook, guard before each edit" in log
