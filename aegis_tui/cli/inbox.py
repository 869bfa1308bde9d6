"""`aegis-tui inbox`: everything that waits for the person, oldest first, and an answer to each (WISH-8, contract 9)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Final

import typer

from aegis_tui.cli import output
from aegis_tui.cli.place import Place, here
from aegis_tui.domain.ids import instance_id
from aegis_tui.domain.need import NEED_EVENTS, Need, needs, waiting_since
from aegis_tui.domain.wire.output import AnswerOutput, InboxOutput, WaitingItem
from aegis_tui.domain.workspace import Workspace
from aegis_tui.errors import UsageError
from aegis_tui.sdk.quick import HubQuick

Answers = dict[str, tuple[str, str, str]]
"""Answer -> the command of contract 5 that gives it, its field for the key (empty: none), and what it does."""

_CANCEL = ("run:cancel", "", "ends the run without a commit; the work of its agents is kept")
ANSWERS: Final[dict[str, Answers]] = {
    "design": {"yes": ("design:agree", "design_id", "the agents start"), "no": _CANCEL},
    "scope": {
        "yes": ("scope:grant", "request", "it may write the path while it holds a lock on it"),
        "no": ("scope:refuse", "request", "it has to find another way"),
    },
    "rule": {
        "yes": ("rule:allow", "piece", "this content may be merged"),
        "no": ("rule:refuse", "piece", "the piece goes back to its worker"),
    },
    "base": {
        "yes": ("qa:accept", "run", "QA accepts the failures of the base, the commit that the run starts from"),
        "no": _CANCEL,
    },
    "piece": {
        "leave-out": ("merge:apply", "leave_out", "the result is made without it; its commits are kept"),
        "no": _CANCEL,
    },
    "partial": {"yes": ("merge:apply", "run", "the pieces that break QA are left out of the result"), "no": _CANCEL},
    "machine": {"no": _CANCEL},
    "halted": {"yes": ("run:resume", "run", "the run continues"), "no": _CANCEL},
}
"""Kind of need -> the answers to it. An instance that asks takes any text instead, a stuck piece any other text."""

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]

app = typer.Typer(add_completion=False, invoke_without_command=True)


@app.callback()
def inbox(context: typer.Context, as_json: AsJson = False) -> None:
    """List everything that is waiting for you, oldest first.

    If nothing is waiting, the command says so, and the exit code is 0. Exit code 5 if no hub is running: none is
    started.
    """
    if context.invoked_subcommand is None:
        place = here()
        items = [_fields(need, since) for need, since in _waiting(place, place.hub())]
        output.result(InboxOutput(items=items), as_json=as_json, lines=_lines(items) or ["nothing is waiting for you"])


@app.command(name="answer")
def answer(
    key: Annotated[
        str, typer.Argument(metavar="KEY", help="The item to answer: its key in the output of aegis-tui inbox.")
    ],
    text: Annotated[
        str, typer.Argument(metavar="ANSWER", help="yes or no; for an instance that asks, the text to send to it.")
    ],
    as_json: AsJson = False,
) -> int:
    """Answer something that is waiting for you: yes or no, or a text for an instance that asks.

    Exit code 2 if nothing with this key is waiting or it does not take this answer, 3 if the hub refuses it, 5 if no
    hub is running.
    """
    hub = here().hub()
    need = _named(needs(Workspace.load(hub.mirror())), key)
    if need.kind == "instance":
        hub.command("instance:send", agent_id=need.key, text=_not_empty(text))
        words = f"sent to {_name(need)}"
    elif need.kind == "piece" and text not in ANSWERS[need.kind]:
        hub.command("piece:retry", piece=need.key, text=_not_empty(text))
        words = f"{need.key} gets one more try with this advice"
    else:
        words = _give(hub, need, text)
    output.result(AnswerOutput(kind=need.kind, key=_name(need), answer=text), as_json=as_json, lines=[words])
    return 0


def _give(hub: HubQuick, need: Need, text: str) -> str:
    """Send the command that gives the answer `text`, usually yes or no; return what that does, in words.

    Args:
        hub: The client that speaks as the person.
        need: What waits; not an instance that asks.
        text: The answer.

    Raises:
        UsageError: The need takes no such answer; nothing was sent.
        AegisError: The hub refuses the command.
    """
    known = ANSWERS[need.kind]
    if text not in known:
        raise UsageError(f"{_name(need)} cannot be answered with {text!r}", f"give {' or '.join(known)}")
    command, field, words = known[text]
    if field == "leave_out":
        hub.command(command, leave_out=[need.key])
    else:
        hub.command(command, **({field: need.key} if field else {}))
    return words


def _named(waiting: list[Need], key: str) -> Need:
    """Return the first need with this key, in full or as the list shows it.

    Raises:
        UsageError: There is none; the hint names those that there are.
    """
    for need in waiting:
        if key in (need.key, _name(need)):
            return need
    names = ", ".join(_name(need) for need in waiting)
    raise UsageError(
        f"nothing named {key} is waiting for you", f"waiting: {names}" if names else "nothing else is waiting"
    )


def _name(need: Need) -> str:
    """Return the name that the list shows for what waits for the person: `need.key`, for an agent its short id."""
    return instance_id(need.key) if need.kind == "instance" else need.key


def _not_empty(text: str) -> str:
    if not text.strip():
        raise UsageError("the answer is empty", "aegis-tui inbox answer KEY TEXT")
    return text


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
    answers = {text: words for text, (_, _, words) in ANSWERS.get(need.kind, {}).items()}
    if need.kind == "instance":
        answers = {"TEXT": "the instance gets it as a prompt"}
    if need.kind == "piece":
        answers = {"TEXT": "a worker gets it as advice, and the piece one more try", **answers}
    return {"kind": need.kind, "key": _name(need), "since": since, "words": need.words, "answers": answers}


def _lines(items: list[WaitingItem]) -> list[str]:
    lines = []
    for item in items:
        age = f"for {_age(item['since'])}" if item["since"] else "since before the log begins"
        lines += [f"{item['key']}  {item['words']}  ({age})"]
        lines += [
            f"    aegis-tui inbox answer {item['key']} {text}: {words}" for text, words in item["answers"].items()
        ]
    return lines


def _age(since: str) -> str:
    seconds = max(0, int((datetime.now(UTC) - datetime.fromisoformat(since)).total_seconds()))
    if seconds < 120:
        return f"{seconds} s"
    minutes = seconds // 60
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"
