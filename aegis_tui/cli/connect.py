"""`aegis-tui connect`: add a person's own agent to the workspace, from any terminal (CLI-4, contract 2, 9)."""

from __future__ import annotations

import json
import os
import shlex
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from aegis_tui.cli import output
from aegis_tui.cli.client import read_token, speaking_as
from aegis_tui.cli.membership import Membership
from aegis_tui.cli.place import Place, here
from aegis_tui.cli.program_group import ProgramGroup
from aegis_tui.domain.wire.reply import JoinedReply
from aegis_tui.errors import AegisError, UsageError
from aegis_tui.sdk.gateway import KEYS, REPLACED_KEYS, base_urls, model_environment, wait_for_gateway
from aegis_tui.sdk.quick import HubQuick

BEAT_S = 1.0
"""How often the agent's session is extended, in seconds. An agent that is stopped notices it at a beat."""

_END = signal.SIGTERM


def _connect(
    context: typer.Context,
    agent: Annotated[str, typer.Option("--agent", help="Its kind, one word: claude, codex, script, ...")],
    instance: Annotated[
        str | None, typer.Option("--instance", help="Its name in the workspace, for example frontend.")
    ] = None,
    role: Annotated[
        str, typer.Option("--role", help="Its role, which decides its rights: worker, reviewer, commander, ...")
    ] = "worker",
    partition: Annotated[
        list[str] | None,
        typer.Option("--partition", metavar="GLOB", help="Paths that only this agent may write; may be repeated."),
    ] = None,
) -> int:
    """Join the workspace with an agent of your own.

    With -- COMMAND, that program is run. It finds the hub, its token and the model gateway in its environment.

    Without COMMAND, the variables are printed, so that you can set them where you start the agent. Commands to the hub
    are then read from stdin, one per line: lock:acquire path=src/a.py wait_s=5

    If no hub is running, one is started and left running. The agent leaves the workspace when COMMAND or stdin ends.
    `aegis-tui stop ID` ends the agent, and COMMAND too. Ctrl-C goes to COMMAND; without COMMAND it ends the agent with
    exit code 130.

    The exit code is that of COMMAND, or 143 if the agent was stopped before COMMAND began. Without COMMAND it is 0,
    even if a command to the hub failed or the agent was stopped. It is 2 or 3 if the hub refuses the agent, for example
    because its name or its partition is taken; 5 if the hub or COMMAND cannot be started.
    """
    return join(agent, instance or agent.lower(), role, list(partition or []), context.args)


def join(agent: str, name: str, role: str, partition: list[str], argv: list[str]) -> int:
    """Join the workspace of this folder as an agent, run the program or take commands, leave, and return the exit code.

    Nothing but replies to commands is written to standard output.

    Args:
        agent: Its kind.
        name: Its name in the workspace.
        role: Its role.
        partition: Globs that only it may write.
        argv: The program; empty: commands are read from standard input.

    Raises:
        AegisError: The hub cannot be started, or refuses the agent; or the program cannot be started.
    """
    place = here()
    person = place.started_hub()
    reply = person.reply(
        JoinedReply, "agent:register", agent_type=agent, instance_id=name, role=role, partition=partition
    )
    agent_id, token_file = reply["agent_id"], reply["token_file"]
    given = {
        "AEGIS_INSTANCE": name,
        "AEGIS_WORKSPACE": place.paths.key,
        "AEGIS_HUB": f"unix:{place.paths.hub_socket}",
        "AEGIS_TOKEN_FILE": token_file,
    }
    hub = speaking_as(place, name)
    output.talk(f"joined as {agent_id}; the token is in {token_file}")
    for number in (_END, signal.SIGHUP):
        signal.signal(number, _raise_ended)
    try:
        with Membership(place, hub, agent_id, beat_s=BEAT_S) as membership:
            url = _gateway_url(place, token_file)
            if argv:
                return _run_program(argv, given, url, membership)
            return _prompt(hub, given, url, membership)
    except _Ended:
        return 128 + _END if argv else 0


class _Ended(Exception):
    """The agent was stopped, or this process received SIGTERM or SIGHUP."""


def _raise_ended(_number: int, _frame: object) -> None:
    raise _Ended


def _gateway_url(place: Place, token_file: str) -> str | None:
    """Wait until the model gateway that the hub starts serves the agent, at most 15 s, and return its URL.

    This starts nothing itself. None if the hub says that the gateway cannot start, or if it does not serve the agent
    after that time. Why there is none, or why the gateway whose URL is returned serves no model, is printed on stderr.

    Raises:
        UsageError: The token file cannot be read.
    """
    gateway = wait_for_gateway(place.paths, read_token(Path(token_file)))
    if gateway.problem:
        output.talk(f"no models: {gateway.problem}" if gateway.url else f"no model gateway: {gateway.problem}")
    return gateway.url


def _run_program(argv: list[str], given: dict[str, str], url: str | None, membership: Membership) -> int:
    """Run the program until it ends or the agent is stopped; return its exit code.

    Args:
        argv: The command line.
        given: The AEGIS variables for it.
        url: The gateway's address; None sets no model variables.
        membership: The agent's session with the hub; if the agent is stopped, the program is ended.

    Raises:
        _Ended: The agent was stopped already; the program was not started.
        UsageError: The token file cannot be read.
        Unavailable: The program cannot be started.
    """
    if membership.has_ended:
        raise _Ended
    environ = {**os.environ, **given}
    if url is not None:
        environ = model_environment(environ, url, read_token(Path(given["AEGIS_TOKEN_FILE"])))
    program = ProgramGroup(argv, environ, marker=(given["AEGIS_INSTANCE"], given["AEGIS_WORKSPACE"]))
    membership.at_stop(program.end)
    return program.wait()


def _exports(given: dict[str, str], url: str | None) -> Iterator[str]:
    """Yield lines for a person: a heading, then shell commands to run where the agent is started.

    They set the variables; the token is not in them, but is read from its file.

    Args:
        given: The AEGIS variables.
        url: The gateway's address; None leaves the model variables out.
    """
    yield "set these where you start the agent:"
    variables = given | (base_urls(url) if url else {})
    yield "  export " + " ".join(f"{name}={shlex.quote(value)}" for name, value in variables.items())
    if url:
        yield "  export " + " ".join(f'{name}="$(cat "$AEGIS_TOKEN_FILE")"' for name in KEYS)
        yield f"  unset {' '.join(REPLACED_KEYS)}"


def _prompt(hub: HubQuick, given: dict[str, str], url: str | None, membership: Membership) -> int:
    """Print the variables on stderr, then send each line of stdin to the hub as a command, `TYPE NAME=VALUE ...`.

    Each reply or error is printed as JSON on stdout, also for a line that cannot be read; then the next line is read.
    Returns 0 at an empty line or at the end of stdin.

    Args:
        hub: The client that speaks as the agent.
        given: The AEGIS variables.
        url: The gateway's address; None leaves the model variables out.
        membership: The agent's session with the hub.

    Raises:
        _Ended: The agent was stopped meanwhile.
    """
    membership.at_stop(lambda: os.kill(os.getpid(), _END))
    for line in _exports(given, url):
        output.talk(line)
    output.talk("type commands for the hub, one per line, such as lock:acquire path=src/a.py (an empty line ends this)")
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
