"""`attach`, `send` and `stop`: what a person does with one instance."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aegis_tui.application import prompt
from aegis_tui.application.prompt import PromptDelivery
from aegis_tui.cli import output
from aegis_tui.cli.place import here
from aegis_tui.domain.ids import instance_id
from aegis_tui.domain.wire.reply import PromptReply, StoppedReply
from aegis_tui.errors import Refused, UsageError
from aegis_tui.sdk.attaching import assumed_terminal, without_popup
from aegis_tui.sdk.quick import HubQuick

if TYPE_CHECKING:
    from aegis_tui.domain.wire.instance import InstanceView
    from aegis_tui.domain.wire.output import SentOutput, StopOutput

_POLL_S = 0.1
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]
Id = Annotated[str, typer.Argument(metavar="ID", help="The instance: w01, or in full NATIVE-w01.")]


def _known(hub: HubQuick, name: str) -> InstanceView:
    for item in hub.context()["instances"]:
        if name in (item["agent_id"], item["instance_id"]):
            return item
    raise UsageError(f"there is no instance {name}", "list them: aegis-tui status")


def _attach(
    name: Id,
    read_only: Annotated[bool, typer.Option("--read-only", help="Show the pane without taking input.")] = False,
) -> int:
    """Open the pane of an instance in this terminal.

    The key that detaches is shown at the bottom; the agent continues. Exit code 2 without a terminal or if there is no
    such instance, 3 if it has no pane, 5 if tmux is missing or no hub is running: none is started. Otherwise tmux
    replaces this process, and the exit code is that of tmux.
    """
    place = here()
    if not sys.stdin.isatty():
        raise UsageError("attach needs a terminal", "run it in a terminal")
    instance = _known(place.hub(), name)
    if instance["phase"] not in ("launched", "joined"):
        raise Refused(f"{instance['agent_id']} has no pane: it is {instance['phase']}", "see aegis-tui status")
    from aegis_tui.bootstrap.panes import attach_argv

    argv = attach_argv(place.paths, instance_id(instance["agent_id"]), read_only=read_only, environ=os.environ)
    if words := assumed_terminal(argv):
        output.talk(f"this machine does not know the terminal {os.environ.get('TERM', '')!r}: {words}")
    if argv[:2] == ["tmux", "display-popup"] and not _has_client():
        argv = without_popup(argv)
    os.execvp(argv[0], argv)


def _has_client() -> bool:
    """Return whether somebody sees the tmux server in which this process runs: a popup there needs a client.

    False too if tmux cannot be started, fails, or does not answer within 10 s.
    """
    import subprocess

    argv = ["tmux", "list-clients", "-F", "#{client_name}"]
    try:
        shown = subprocess.run(argv, capture_output=True, timeout=10, stdin=subprocess.DEVNULL, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return shown.returncode == 0 and bool(shown.stdout.strip())


SEND_CODES = {"refused": 3, "unknown": 1}


def _send(
    name: Id,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="The prompt; - reads it from stdin.")],
    wait_s: Annotated[
        float | None,
        typer.Option(
            "--wait", min=0, help="Seconds to wait until it is known what became of the prompt; by default 5."
        ),
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Send a prompt to an instance.

    Waits until it is known what became of the prompt, but not longer than --wait, and prints that: delivered; queued,
    because the instance is working and gets it afterwards; not delivered; or unknown, if it was typed into a program
    and no call to the model contained it.

    Exit code 0 if it was delivered or is queued, 1 if that is unknown, 3 if it was not delivered or the instance cannot
    take a prompt now, 2 if there is no such instance or the prompt is empty, 5 if no hub is running.
    """
    hub = here().hub()
    words = sys.stdin.read() if text == "-" else text
    if not words.strip():
        raise UsageError("the prompt is empty", "aegis-tui send ID TEXT")
    delivery = PromptDelivery({name: hub.reply(PromptReply, "instance:send", agent_id=name, text=words)["seq"]})
    await_delivery(hub, delivery, prompt.DELIVERY_S if wait_s is None else wait_s)
    word = delivery.word(name)
    fields: SentOutput = {"delivery": word, "seq": delivery.sent[name]}
    output.result(fields, as_json=as_json, lines=[delivery.words(name)])
    return SEND_CODES.get(word, 0)


def await_delivery(hub: HubQuick, delivery: PromptDelivery, wait_s: float) -> None:
    """Read the log until there is an answer for every prompt of `delivery`, or the time has passed.

    The answers are recorded in `delivery`; nothing is raised for prompts without one.

    Args:
        hub: The hub.
        delivery: The prompts.
        wait_s: The longest wait.

    Raises:
        HubUnavailable: The hub stops answering.
    """
    end, after = time.monotonic() + wait_s, min(delivery.sent.values())
    while not delivery.is_complete and time.monotonic() < end:
        events = hub.envelopes(after=after, limit=500)
        acked = [event["data"] for event in events if event["type"] == "message:acked"]
        delivery.hear({data["of"]: data["delivery"] for data in acked})
        after = max((event["seq"] for event in events), default=after)
        if not delivery.is_complete:
            time.sleep(_POLL_S)


def _stop(
    name: Id,
    reason: Annotated[str, typer.Option("--reason", help="The reason, for the log.")] = "stopped by the person",
    as_json: AsJson = False,
) -> int:
    """End an instance; its work is saved first.

    Work that exists nowhere else is saved in a rescue ref. The command does not wait until the instance has ended. If
    it has already ended, nothing happens, and the exit code is 0. Exit code 2 if there is no such instance, 5 if no hub
    is running.
    """
    reply = here().hub().reply(StoppedReply, "instance:stop", agent_id=name, reason=reason)
    fields: StopOutput = {"agent_id": reply["agent_id"]}
    words = "had ended already" if reply.get("phase") in ("gone", "reclaimed") else "is being stopped"
    output.result(fields, as_json=as_json, lines=[f"{reply['agent_id']} {words}"])
    return 0


def _app(function: Any) -> typer.Typer:
    app = typer.Typer(add_completion=False)
    app.command()(function)
    return app


attach_app, send_app, stop_app = _app(_attach), _app(_send), _app(_stop)
