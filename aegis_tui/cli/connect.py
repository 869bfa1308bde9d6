"""`aegis-tui connect`: add a person's own agent to the workspace, from any terminal (CLI-4, contract 2, 9)."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import threading
from typing import Annotated, Any

import typer

from aegis_tui.cli import output
from aegis_tui.cli.client import speaking_as
from aegis_tui.cli.place import here
from aegis_tui.errors import AegisError, Unavailable, UsageError
from aegis_tui.sdk.quick import HubQuick

BEAT_S = 5.0


def _connect(
    context: typer.Context,
    agent: Annotated[str, typer.Option("--agent", help="Its kind, one word: claude, codex, script, ...")],
    instance: Annotated[
        str | None, typer.Option("--instance", help="Its name in the workspace, for example frontend.")
    ] = None,
    role: Annotated[str, typer.Option("--role", help="Its rights: worker, reviewer, commander, ...")] = "worker",
    partition: Annotated[
        list[str] | None, typer.Option("--partition", help="A glob whose paths only it may write.")
    ] = None,
) -> int:
    """Join the workspace with an agent of your own.

    With -- COMMAND that program is run, and finds the hub and its token in its environment.

    Without COMMAND, commands to the hub are read from stdin, one per line: lock:acquire path=src/a.py wait_s=5

    In both cases the agent leaves the workspace at the end.
    """
    place = here()
    person = place.started_hub()
    name = instance or agent.lower()
    reply = person.command(
        "agent:register", agent_type=agent, instance_id=name, role=role, partition=list(partition or [])
    )
    hub = speaking_as(place, name)
    output.talk(f"joined as {reply['agent_id']}; the token is in {reply['token_file']}")
    stop = threading.Event()
    beating = threading.Thread(target=_beat, args=(hub, stop), daemon=True)
    beating.start()
    try:
        return _run_program(context.args, reply, name) if context.args else _prompt(hub)
    finally:
        stop.set()
        beating.join()
        try:
            hub.command("agent:leave", reason="connect has ended")
        except AegisError as error:
            output.talk(f"could not leave: {error.message}")


def _beat(hub: HubQuick, stop: threading.Event) -> None:
    while not stop.wait(BEAT_S):
        try:
            hub.command("heartbeat")
        except AegisError as error:
            output.talk(f"heartbeat: {error.message}")


def _run_program(argv: list[str], reply: dict[str, Any], name: str) -> int:
    place = here()
    environment = {
        **os.environ,
        "AEGIS_INSTANCE": name,
        "AEGIS_HUB": f"unix:{place.paths.hub_socket}",
        "AEGIS_TOKEN_FILE": str(reply["token_file"]),
    }
    try:
        return subprocess.run(argv, env=environment, check=False).returncode
    except OSError as error:
        raise Unavailable(f"{argv[0]} cannot be started: {error.strerror}", "is it on PATH?") from error


def _prompt(hub: HubQuick) -> int:
    """Send the commands of contract 5 that stdin holds, one per line: `lock:acquire path=src/a.py wait_s=5`.

    Each reply or error is printed as JSON. An empty line or the end of input ends it; return 0.
    """
    output.talk("type commands for the hub, one per line: lock:acquire path=src/a.py; an empty line leaves")
    for line in sys.stdin:
        if not line.strip():
            break
        try:
            words = _words(line)
            fields = dict(_field(word) for word in words[1:])
            reply = hub.command(words[0], **fields)
            output.data(output.json_text({"ok": True, **reply}))
        except AegisError as error:
            output.failure(error, as_json=True)
    return 0


def _words(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError as error:
        raise UsageError(f"the line cannot be read: {error}", "close each quote") from error


def _field(word: str) -> tuple[str, Any]:
    name, equals, value = word.partition("=")
    if not equals:
        raise UsageError(f"{word} is not of the form NAME=VALUE", "for example path=src/a.py")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


connect_app = typer.Typer(add_completion=False)
connect_app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": False})(_connect)
