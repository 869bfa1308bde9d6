"""`events`, `replay` and `schema` on a hub that runs, restarts and is stopped (HUB-3, HUB-5)."""

from __future__ import annotations

import json
import subprocess
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aegis_tui.domain.core import Workspace, evolve
from aegis_tui.domain.event import event_from_wire
from aegis_tui.testing.scratch import ScratchWorkspace
from tests.workspace import Served


class Lines:
    """What a command says, line by line, as it says it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.found: list[dict[str, Any]] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        self.found.extend(json.loads(line) for line in self.process.stdout)

    def close(self) -> int:
        self.process.terminate()
        self._reader.join()
        self.process.communicate()
        return self.process.returncode


@pytest.fixture
def follow(served: ScratchWorkspace) -> Iterator[Any]:
    opened: list[Lines] = []

    def start(*arguments: str) -> Lines:
        opened.append(Lines(served.start("events", "--follow", *arguments)))
        return opened[-1]

    yield start
    for lines in opened:
        lines.close()


def lock(served: ScratchWorkspace, path: str) -> None:
    assert served.aegis("lock", "acquire", path).code == 0


def test_followed_events_come_in_order_over_a_restart_of_the_hub(served: ScratchWorkspace, follow: Any) -> None:
    lock(served, "one.py")
    everything, locks = follow(), follow("--type", "lock:acquired", "--type", "specs.>")
    served.until(lambda: everything.found and locks.found, what="the first events")
    assert served.aegis("lock", "release", "one.py").code == 0
    served.aegis("hub", "stop")
    assert served.aegis("hub", "start").code == 0
    lock(served, "two.py")
    wanted = served.events()
    served.until(lambda: everything.found[-1]["seq"] >= wanted[-1]["seq"], what="the last event")
    assert everything.found[: len(wanted)] == wanted
    served.until(lambda: locks.found[-1]["data"]["path"] == "two.py", what="the second lock")
    assert {event["type"] for event in locks.found} == {"lock:acquired"}
    after = served.aegis("events", "--after", str(wanted[0]["seq"]), "--type", "lock:*")
    told = [json.loads(line) for line in after.out.splitlines()]
    assert told and all(event["type"].startswith("lock:") and event["seq"] > wanted[0]["seq"] for event in told)


def test_replay_gives_the_state_after_any_event_and_the_hub_agrees(served: ScratchWorkspace) -> None:
    for path in ("x.py", "y.py", "z.py"):
        lock(served, path)
    events = served.events()
    newest = served.aegis("replay", "--json").json
    assert newest["hub_agrees"] is True and newest["seq"] == events[-1]["seq"]
    assert {"x.py", "y.py", "z.py"} <= newest["context"]["locks"].keys()
    before = next(event["seq"] for event in events if event["data"].get("path") == "z.py") - 1
    older = served.aegis("replay", "--to", str(before), "--json").json
    assert older["seq"] == before and older["hub_agrees"] is None
    assert "y.py" in older["context"]["locks"] and "z.py" not in older["context"]["locks"]
    workspace = Workspace()
    for event in events[:before]:
        evolve(workspace, event_from_wire(event))
    assert set(older["context"]["locks"]) == {item.resource.path for item in workspace.locks.locks()}
    assert older["state_hash"] != newest["state_hash"]
    missing = served.aegis("replay", "--to", "999999")
    assert missing.code == 2 and "no event 999999" in missing.err
    assert newest["state_hash"] in served.aegis("replay").out


def test_replay_reads_the_log_itself_when_the_hub_is_stopped(served: ScratchWorkspace) -> None:
    lock(served, "w.py")
    seq = served.events()[-1]["seq"]
    running = served.aegis("replay", "--to", str(seq), "--json").json
    served.aegis("hub", "stop")
    stopped = served.aegis("replay", "--to", str(seq), "--json").json
    assert stopped["state_hash"] == running["state_hash"]
    assert stopped["context"]["locks"] == running["context"]["locks"]
    assert served.aegis("events", "--follow").code == 5
    assert served.aegis("hub", "start").code == 0


def test_a_repository_without_a_log_has_nothing_to_replay() -> None:
    scratch = Served()
    try:
        scratch.init({"a.py": ""})
        answer = scratch.aegis("replay", "--json")
        assert answer.code == 2 and "nothing was ever logged" in answer.json["error"]["message"]
        assert not list((scratch.folder / "state").rglob("log.db"))
    finally:
        scratch.close()


@pytest.mark.parametrize("which", ["openapi", "asyncapi"])
def test_the_contract_that_is_written_is_the_one_that_is_served(
    served: ScratchWorkspace, tmp_path: Path, which: str
) -> None:
    path = tmp_path / "contract.json"
    assert served.aegis("schema", which, "-o", str(path)).code == 0
    written = json.loads(path.read_text())
    assert json.loads(served.aegis("schema", which).out) == written
    url = served.aegis("hub", "status", "--json").json["url"]
    with urllib.request.urlopen(f"{url}/{which}.json", timeout=10) as response:
        assert json.loads(response.read()) == written
    assert served.aegis("schema", which, "-o", str(tmp_path / "no" / "x.json")).code == 2


def test_an_empty_type_is_named_as_such(served: ScratchWorkspace) -> None:
    for words in (["--follow", "--type", ""], ["--type", "lock:*", "--type", ""]):
        refused = served.aegis("events", *words)
        assert refused.code == 2 and "--type is empty" in refused.err
