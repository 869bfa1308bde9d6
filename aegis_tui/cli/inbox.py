"""`aegis-tui inbox`: everything that waits for the person, oldest first, and an answer to each (WISH-8, contract 9)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from aegis_tui.cli import output
from aegis_tui.cli.place import Place, here
from aegis_tui.domain.answer import TEXT, answers_to
from aegis_tui.domain.need import EMPTY, NEED_EVENTS, Need, needs, waiting_since
from aegis_tui.domain.wire.output import AnswerOutput, InboxOutput, WaitingItem
from aegis_tui.domain.workspace import Workspace
from aegis_tui.errors import UsageError
from aegis_tui.sdk.quick import HubQuick

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]

app = typer.Typer(add_completion=False, invoke_without_command=True, subcommand_metavar="[COMMAND [ARGS]...]")


@app.callback()
def inbox(context: typer.Context, as_json: AsJson = False) -> None:
    """List everything that is waiting for you, oldest first.

    If nothing is waiting, the command says so, and the exit code is 0. Exit code 5 if no hub is running: none is
    started.
    """
    if context.invoked_subcommand is None:
        place = here()
        items = [_fields(need, since) for need, since in _waiting(place, place.hub())]
        output.result(InboxOutput(items=items), as_json=as_json, lines=_lines(items) or list(EMPTY))


@app.command(name="answer")
def answer(
    key: Annotated[
        str, typer.Argument(metavar="KEY", help="The item to answer: its key in the output of aegis-tui inbox.")
    ],
    text: Annotated[
        str,
        typer.Argument(metavar="ANSWER", help="yes, no or another of the answers in the output of aegis-tui inbox."),
    ],
    as_json: AsJson = False,
) -> int:
    """Answer something that is waiting for you.

    The answers that it takes, and what each does, are in the output of aegis-tui inbox.

    The question of a program on its screen takes the number of one of its choices. If the screen still shows this
    question, the hub moves the mark to that choice with the arrow keys and presses Enter.

    An instance takes any text as a prompt. A piece that was sent back too often takes any text as advice, and gets one
    more try.

    Exit code 2 if nothing with this key is waiting or it does not take this answer, 3 if the hub refuses it, 5 if no
    hub is running.
    """
    hub = here().hub()
    need = _named(needs(Workspace.load(hub.mirror())), key)
    words = _give(hub, need, text)
    output.result(AnswerOutput(kind=need.kind, key=need.name, answer=text), as_json=as_json, lines=[words])
    return 0


def _give(hub: HubQuick, need: Need, text: str) -> str:
    """Send the command that gives the answer `text`; return what that does, in words.

    Args:
        hub: The client that speaks as the person.
        need: What waits.
        text: The answer.

    Raises:
        UsageError: The need takes no such answer, or it is empty; nothing was sent.
        AegisError: The hub refuses the command.
    """
    known = [item for item in answers_to(need) if item.is_of_inbox]
    free = known[0] if known and known[0].text == TEXT else None
    given = next((item for item in known if item.text == text != TEXT), free)
    if given is None:
        hint = f"give {' or '.join(item.text for item in known)}" if known else f"aegis-tui attach {need.name}"
        raise UsageError(f"{need.name} cannot be answered with {text!r}", hint)
    if not text.strip():
        raise UsageError("the answer is empty", "aegis-tui inbox answer KEY TEXT")
    reply = hub.command(given.command, **given.with_text(text))
    unsure = given.command == "instance:answer" and reply.get("delivery") == "unknown"
    return f"{given.words}; it was typed, but the question is still on the screen" if unsure else given.words


def _named(waiting: list[Need], key: str) -> Need:
    """Return the first need with this key, in full or as the list shows it.

    Raises:
        UsageError: There is none; the hint names those that there are.
    """
    for need in waiting:
        if key in (need.key, need.name):
            return need
    names = ", ".join(need.name for need in waiting)
    raise UsageError(
        f"nothing named {key} is waiting for you", f"waiting: {names}" if names else "nothing else is waiting"
    )


def _waiting(place: Place, hub: HubQuick) -> list[tuple[Need, str | None]]:
    """Return what waits for the person, oldest first, each with the timestamp since when it waits.

    The timestamp is None, and the need comes first, if the log no longer has it. Empty if nothing waits.

    Raises:
        HubUnavailable: The hub does not answer.
        StoreError: The log cannot be read.
        UsageError: There is no log file.
    """
    from aegis_tui.bootstrap.log import log_reader

    workspace = Workspace.load(hub.mirror())
    since = waiting_since(log_reader(place.paths).events(NEED_EVENTS))
    items = [(need, since.get((need.kind, need.key))) for need in needs(workspace)]
    return sorted(items, key=lambda item: item[1] or "")


def _fields(need: Need, since: str | None) -> WaitingItem:
    known = answers_to(need)
    return {
        "kind": need.kind,
        "key": need.name,
        "since": since,
        "words": need.words,
        "answers": {item.text: item.words for item in known},
        "commands": {item.text: item.twin(need) for item in known},
    }


def _lines(items: list[WaitingItem]) -> list[str]:
    lines = []
    for item in items:
        age = f"for {_age(item['since'])}" if item["since"] else "since before the log begins"
        lines += [f"{item['key']}  {item['words']}  ({age})"]
        lines += [f"    {item['commands'][text]}: {words}" for text, words in item["answers"].items()]
    return lines


def _age(since: str) -> str:
    seconds = max(0, int((datetime.now(UTC) - datetime.fromisoformat(since)).total_seconds()))
    if seconds < 120:
        return f"{seconds} s"
    minutes = seconds // 60
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"
