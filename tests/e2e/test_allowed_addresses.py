"""A person lists addresses for a kind of agent: its program reaches those through its sandbox, and no other (SEC-4)."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator

import pytest

from aegis_tui.testing.scratch import ScratchWorkspace
from tests.workspace import SHOP, clean_workspace

PROGRAM = r"""
import http.client, json, os, socket, subprocess, sys, urllib.parse

places = json.load(open(os.environ["HOME"] + "/places.json"))
tried = {}

def through_the_proxy(host, port):
    proxy = urllib.parse.urlsplit(os.environ["HTTPS_PROXY"])
    connection = http.client.HTTPConnection(proxy.hostname, proxy.port, timeout=20)
    connection.set_tunnel(host, port)
    connection.request("GET", "/")
    return connection.getresponse().read().decode()

for name, (host, port) in places.items():
    try:
        tried[name] = through_the_proxy(host, port)
    except (OSError, KeyError, http.client.HTTPException) as error:
        tried[name] = "refused" if "403" in str(error) else type(error).__name__
try:
    socket.create_connection(tuple(places["listed"]), 2)
    tried["directly"] = "reached"
except OSError:
    tried["directly"] = "refused"
with open("src/size.py", "w") as file:
    file.write("SIZE = 1\n")
print("tried " + json.dumps(tried, sort_keys=True))
print("feat: add the size")
"""


class Page(http.server.BaseHTTPRequestHandler):
    """Answers every request with one word."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "7")
        self.end_headers()
        self.wfile.write(b"welcome")

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def pages() -> Iterator[tuple[int, int]]:
    """Two servers; their ports."""
    servers = [http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) for _ in range(2)]
    threads = [threading.Thread(target=server.serve_forever, daemon=True) for server in servers]
    for thread in threads:
        thread.start()
    yield servers[0].server_port, servers[1].server_port
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def workspace() -> Iterator[ScratchWorkspace]:
    with clean_workspace(SHOP) as scratch:
        yield scratch


def add_kind(workspace: ScratchWorkspace, pages: tuple[int, int]) -> None:
    places = {
        "listed": ["127.0.0.1", pages[0]],
        "another port": ["127.0.0.1", pages[1]],
        "another name": ["updates.example.org", 443],
    }
    folder = workspace.folder / "config" / "aegis-tui" / "agents"
    folder.mkdir(parents=True)
    (folder / "looker.toml").write_text(
        f"""
title = "a program that looks around"
programs = ["python3"]

[headless]
argv = ["python3", "{{home}}/looker.py"]
prompt = "stdin"

[[files]]
path = "looker.py"
text = \'\'\'{PROGRAM}\'\'\'

[[files]]
path = "places.json"
text = \'\'\'{json.dumps(places)}\'\'\'
""",
        "utf-8",
    )


def settings(workspace: ScratchWorkspace, text: str) -> None:
    (workspace.folder / "config" / "aegis-tui" / "config.toml").write_text(text, "utf-8")


def run(workspace: ScratchWorkspace, base_url: str) -> tuple[dict[str, object], dict[str, str]]:
    """Run one feature of that kind; return the report and what the program found."""
    feature = {"id": "size", "title": "Add size", "brief": "Add it.", "partition": ["src/size.py"], "kind": "looker"}
    path = workspace.folder / "design.yaml"
    qa = {"commands": ["python3 -m unittest discover -s tests"]}
    path.write_text(json.dumps({"goal": "Sizes", "features": [feature], "qa": qa}), "utf-8")
    answer = workspace.aegis("run", "Sizes", "--design", str(path), "--base-url", base_url, "--headless", "--json")
    report = answer.json
    assert answer.code == 0 and report["ok"], (report.get("error"), answer.err)
    worker = next(item for item in report["instances"] if item["role"] == "worker")
    log = next((workspace.folder / "state").rglob(f"{worker['id']}.log")).read_text("utf-8")
    tried = json.loads(next(line for line in log.splitlines() if "tried {" in line).partition("tried ")[2])
    return report | {"worker": worker, "err": answer.err}, tried


@pytest.mark.boundary(
    layer="network",
    tried="a program whose kind has a listed address connects to it, to others, and past the proxy",
    refused="it reaches the listed address through the proxy only; the rest is refused, recorded and shown",
)
def test_a_listed_address_is_reached_and_no_other(
    workspace: ScratchWorkspace, other_server: str, pages: tuple[int, int]
) -> None:
    add_kind(workspace, pages)
    settings(workspace, f'[boundary]\nlooker = ["127.0.0.1:{pages[0]}"]\n')
    report, tried = run(workspace, other_server)
    assert tried == {
        "listed": "welcome",
        "another port": "refused",
        "another name": "refused",
        "directly": "refused",
    }
    boundary = {"level": "bubblewrap", "allowed": {"looker": [f"127.0.0.1:{pages[0]}"]}, "word": "1 address allowed"}
    assert isinstance(report["boundary"], dict) and boundary.items() <= report["boundary"].items()
    assert isinstance(report["worker"], dict)
    assert report["worker"]["blocked_names"] == ["127.0.0.1", "updates.example.org"]
    assert f"the boundary is open: looker may reach 127.0.0.1:{pages[0]}" in str(report["err"])
    status = workspace.aegis("status", "--json").json
    assert status["boundary"]["word"] == "1 address allowed"
    assert f"boundary: 1 address allowed: looker may reach 127.0.0.1:{pages[0]}" in workspace.aegis("status").out
    doctor = {check["name"]: check for check in workspace.aegis("doctor", "--json").json["checks"]}
    assert doctor["boundary"]["found"] == f"1 address allowed; looker may reach 127.0.0.1:{pages[0]}"


def test_without_a_list_the_boundary_is_closed(
    workspace: ScratchWorkspace, other_server: str, pages: tuple[int, int]
) -> None:
    add_kind(workspace, pages)
    settings(workspace, f'[boundary]\nnative = ["127.0.0.1:{pages[0]}"]\n')
    report, tried = run(workspace, other_server)
    assert set(tried.values()) == {"KeyError", "refused"}, "there is no proxy for this kind"
    assert isinstance(report["worker"], dict) and report["worker"]["blocked_names"] == []


def test_a_project_cannot_open_the_boundary_and_a_wrong_address_or_kind_is_named(workspace: ScratchWorkspace) -> None:
    project = workspace.root / ".agents"
    project.mkdir()
    (project / "config.toml").write_text('[boundary]\nnative = ["api.example.org:443"]\n', "utf-8")
    listed = workspace.aegis("config", "list")
    assert listed.code == 2 and "boundary may not be set by a project" in listed.err
    (project / "config.toml").unlink()
    (workspace.folder / "config" / "aegis-tui").mkdir(parents=True, exist_ok=True)
    settings(workspace, '[boundary]\nnative = ["https://api.example.org"]\n')
    wrong = workspace.aegis("config", "list")
    assert wrong.code == 2 and "is not a host and a port" in wrong.err
    settings(workspace, '[boundary]\ncodexx = ["api.example.org:443"]\n')
    doctor = {check["name"]: check for check in workspace.aegis("doctor", "--json").json["checks"]}
    assert not doctor["boundary"]["ok"] and "no agent kind codexx" in doctor["boundary"]["fix"]
