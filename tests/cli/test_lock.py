"""`lock` on a hub that runs: who holds it and for how long, quickly, and waits that a person ends (LOCK-6, HUB-6)."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from typing import Any

import pytest
import typer

from aegis_tui.cli import lock, lock_verbs
from aegis_tui.sdk.discovery import find_hub, workspace_key_of, workspace_paths
from aegis_tui.sdk.quick import HubQuick
from aegis_tui.testing.scratch import ScratchWorkspace


@pytest.fixture(scope="module")
def person(served: ScratchWorkspace) -> HubQuick:
    address = find_hub(workspace_paths(workspace_key_of(served.root), served.environ))
    assert address is not None
    hub = HubQuick(address)
    for name in ("frontend", "backend"):
        hub.command("agent:register", agent_type="CLAUDE", instance_id=name)
    return hub


def queued(person: HubQuick) -> list[str]:
    return [item["agent_id"] for item in person.mirror()["locks"]["waits"]]


def test_a_held_lock_is_told_with_its_holder_and_its_time(served: ScratchWorkspace, person: HubQuick) -> None:
    person.command("heartbeat")
    taken = served.aegis("lock", "acquire", "a.py", "--lines", "1-1", "--instance", "frontend", "--ttl", "90", "--json")
    assert taken.code == 0 and taken.json["locks"][0]["agent_id"] == "CLAUDE-frontend"
    refused = served.aegis("lock", "acquire", "a.py")
    assert refused.code == 4 and refused.out == ""
    said = refused.err.splitlines()[0]
    assert said.startswith("aegis-tui: CLAUDE-frontend holds a.py:1-1 (EXCLUSIVE), for ")
    assert 0 < int(said.split("for at most ")[1].split(" s")[0]) <= 90 and said.endswith(" s more")
    told = served.aegis("lock", "acquire", "a.py", "--json")
    assert told.code == 4 and told.json["held_by"] == "CLAUDE-frontend" and 0 < told.json["expires_in_s"] <= 90
    late = served.aegis("lock", "acquire", "a.py", "--wait", "0.2")
    assert late.code == 4 and "CLAUDE-frontend" in late.err and "a.py:1-1 (EXCLUSIVE)" in late.err
    assert "for at most" in late.err
    assert served.aegis("lock", "release", "a.py", "--instance", "frontend").code == 0


def test_a_path_and_the_option_of_the_same_meaning_are_not_both_taken(served: ScratchWorkspace) -> None:
    refused = served.aegis("lock", "acquire", "one.py", "--file", "other.py")
    assert refused.code == 2 and "PATH and --file" in refused.err


@pytest.mark.parametrize("meant", ["{lock_id}", "#{token}", "{token}", "broken.py"])
def test_a_lock_is_broken_by_whatever_a_person_calls_it(served: ScratchWorkspace, meant: str) -> None:
    (lock,) = served.aegis("lock", "acquire", "broken.py", "--json").json["locks"]
    assert lock["lock_id"] in served.aegis("lock", "list").out
    assert served.aegis("lock", "break", meant.format(**lock)).out.strip() == f"the lock {lock['lock_id']} was broken"
    again = served.aegis("lock", "break", "broken.py")
    assert again.code == 2 and "no lock matches broken.py" in again.err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_wait_that_is_interrupted_leaves_the_queue(
    served: ScratchWorkspace, person: HubQuick, number: signal.Signals
) -> None:
    person.command("lock:acquire", path="b.py")
    process = served.start("lock", "acquire", "b.py", "--wait", "40", "--instance", "backend")
    served.until(lambda: queued(person), what="the wait")
    process.send_signal(number)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 130 and "interrupted" in said
    assert queued(person) == []
    person.command("lock:release", path="b.py")
    assert "b.py" not in person.state()["locks"]


def test_a_plain_lock_command_imports_neither_typer_nor_pydantic(served: ScratchWorkspace, person: HubQuick) -> None:
    code = """if True:
        import sys
        from aegis_tui.cli.main import run
        verbs = (["acquire", "c.py", "--ttl", "5"], ["list"], ["release", "c.py"])
        codes = [run(["lock", *words]) for words in verbs]
        heavy = {"typer", "pydantic", "rich", "asyncio", "tomllib", "psutil"} & set(sys.modules)
        print(codes, sorted(heavy), file=sys.stderr)
    """
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        cwd=served.root,
        env=served.environ,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert done.stderr == "[0, 0, 0] []\n"


def test_plain_commands_know_the_options_that_are_declared_for_people() -> None:
    group: Any = typer.main.get_command(lock.app)
    for verb, options in lock_verbs.OPTIONS.items():
        declared = {
            name: item.type_descriptor.annotation
            for item in group.commands[verb].params
            for name in item.opts
            if name.startswith("--") and name != "--help"
        }
        assert {name: bool if kind is lock_verbs.FLAG else kind for name, kind in options.items()} == declared


@pytest.mark.parametrize(
    "words",
    [
        ["acquire", "a.py", "b.py"],
        ["acquire", "a.py", "--wait", "-1"],
        ["acquire", "a.py", "--wait"],
        ["acquire", "a.py", "--wait=3"],
        ["acquire", "a.py", "--ttl", "many"],
        ["acquire", "--help"],
        ["release", "a.py", "--token", "x"],
        ["list", "a.py"],
        ["break", "L1"],
        [],
    ],
)
def test_what_is_not_plain_is_left_to_typer(words: list[str]) -> None:
    assert lock_verbs.run_plain(["lock", *words]) is None


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["a.py", "--wait", "inf"], "--wait inf is not a number of seconds"),
        (["a.py", "--ttl", "nan"], "--ttl nan is not a number of seconds"),
        (["a.py", "--wait", "1e9"], "wait_s"),
        (["a.py", "--wait", "99999"], "wait_s"),
        (["a.py", "--ttl", "0"], "a lock cannot last 0.0 s"),
        ([], "no path"),
    ],
)
def test_a_duration_that_is_none_is_a_usage_error(
    served: ScratchWorkspace, person: HubQuick, words: list[str], says: str
) -> None:
    refused = served.aegis("lock", "acquire", *words, "--json")
    assert refused.code == 2, refused
    assert says in json.loads(refused.out)["error"]["message"]
